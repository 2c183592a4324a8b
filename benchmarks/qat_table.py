"""The tables of `benchmarks.qat`, in Markdown, from the files that it keeps."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.zoo_int8 import FAMILIES, of_family, share


def coverage_table(folder: Path) -> str:
    """Return who takes which of the families that `folder` holds."""
    lines = [
        "| family | ours | tfmot | tfmot with configs | layers that tfmot does not know | max Δ translated |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in _records(folder):
        if found["untranslated"]:
            lines.append(f"| {name} | {_taken(found['ours'])} | – | – | {found['untranslated']} | – |")
            continue
        verdicts = (_taken(found[key]) for key in ("ours", "tfmot", "with_configs"))
        unknown = ", ".join(found["unsupported"]) or "–"
        difference = f"{found['translation_difference']:.1e}"
        lines.append(f"| {name} | {' | '.join(verdicts)} | {unknown} | {difference} |")
    return "\n".join(lines)


def table(folder: Path) -> str:
    """Return the files of the families that `folder` holds, one line each."""
    lines = [
        "| family | file | accuracy | ours − it, points (95 %), p | agrees with its model | KB | compressed "
        "| ms | training, processor s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in _records(folder):
        for key, file in found["files"].items():
            against = file["against_ours"]
            low, high = (100 * end for end in against["interval_95"])
            ahead = f"{100 * against['difference']:+.2f} ({low:+.2f} … {high:+.2f}), {against['p_value']:.2g}"
            cells = [
                *(
                    name,
                    key,
                    share(file["accuracy"]),
                    "–" if key == "ours" else ahead,
                    share(file["agreement"]),
                ),
                *(f"{file['kilobytes']:,.0f}", f"{file['compressed_kilobytes']:,.0f}", f"{file['ms']:.3f}"),
                f"{file['processor_s']:.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines += [f"| {name} | {key} | refused: {why} | | | | | | |" for key, why in found["refused"].items()]
    return "\n".join(lines)


def _records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in FAMILIES:
        path = of_family(folder, name)
        if path.exists():
            yield name, json.loads(path.read_text(encoding="utf-8"))


def _taken(refusal: str) -> str:
    return "no" if refusal else "yes"
