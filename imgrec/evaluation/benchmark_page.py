"""The page of a benchmark: one HTML file with a table, and accuracy, milliseconds and size in one figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec.evaluation.figures import Point, front
from imgrec.evaluation.page import number, render
from imgrec.files import write_text


@dataclass(frozen=True)
class Measured:
    """What the page tells.

    title: what was measured.
    rows: a mapping each measurement: name, kind, kilobytes, accuracy, threads, xnnpack, ms_p50, ms_p90,
        images_per_second, megabytes, pieces, macs, microjoules; the last two, kilobytes and accuracy may be
        None.
    machine: facts about it, text by name.
    missing: others that could not be measured, and why.
    command: the command line.
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    machine: Mapping[str, str]
    missing: Sequence[str] = ()
    command: str = ""


def write_page(path: Path, measured: Measured) -> None:
    """Write the page of one benchmark to `path`, an HTML file, whole or not at all."""
    plain = of_one_thread(measured.rows)
    quickest = min(plain, key=lambda row: row["ms_p50"])
    sized = [row for row in plain if row["kilobytes"] is not None]
    values = {
        "quickest": quickest,
        "smallest": min(sized, key=lambda row: row["kilobytes"]) if sized else None,
        "figure": _figure(plain),
        "ratios": _ratios(plain),
        "accurate": any(row["accuracy"] is not None for row in plain),
    }
    write_text(path, render("benchmark.html.j2", **(vars(measured) | values)))


def of_one_thread(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return each subject's row with the fewest threads, with the quick kernels where they are optional."""
    fewest = min(row["threads"] for row in rows)
    return [row for row in rows if row["threads"] == fewest and row["xnnpack"] is not False]


def _figure(rows: Sequence[Mapping[str, Any]]) -> str:
    """An SVG of accuracy over milliseconds, discs as large as files; of size where no accuracy is known."""
    accurate = [row for row in rows if row["accuracy"] is not None]
    if accurate:
        points = [Point(r["name"], r["ms_p50"], 100 * r["accuracy"], r["kilobytes"]) for r in accurate]
        return front("accuracy, %", points, highest=True)
    sized = [row for row in rows if row["kilobytes"] is not None]
    return front("KB", [Point(r["name"], r["ms_p50"], r["kilobytes"], None) for r in sized], highest=False)


def _ratios(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return each subject's size and speed beside the float32 file's, or the first's where there is none."""
    base = next((row for row in rows if row["name"].startswith("float32")), rows[0])
    told = []
    for row in rows:
        sized = row["kilobytes"] and base["kilobytes"]
        size = f"{100 * row['kilobytes'] / base['kilobytes']:.0f} %" if sized else "–"
        told.append((row["name"], size, f"{number(base['ms_p50'] / row['ms_p50'], 3)} ×"))
    return told
