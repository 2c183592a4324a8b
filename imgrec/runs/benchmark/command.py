"""From the settings of `pipelines.benchmark` to its table and its page."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from imgrec.errors import InputError
from imgrec.processors import cores
from imgrec.runs.benchmark import measuring, subjects
from imgrec.runs.benchmark.measuring import Row

TITLES = ["file", "KB", "accuracy", "threads", "XNNPACK", "ms p50", "p90", "images/s", "MB", "M MACs", "µJ"]
MOST_SECONDS, MOST_ROUNDS, MOST_THREADS = 600.0, 100, 256


@dataclass(frozen=True)
class BenchmarkSettings:
    """What to measure, and how."""

    files: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE…", help_behavior_hint="")
    ] = ()
    """Exported files (.tflite and others that can be run here); or name a run by --run."""
    run: Annotated[Path, tyro.conf.arg(metavar="RUN", help_behavior_hint="")] = Path()
    """A finished run: all files of its exports/."""
    threads: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N…", help_behavior_hint="")] = ()
    """Numbers of threads to try; by default 1, 2, 4 … up to all processors."""
    seconds: float = 2.0
    """How long each measurement lasts, after a warm-up; 20 images at least."""
    rounds: int = 1
    """How often all are measured in turn: medians of several rounds are fair on a machine that others use."""
    peers: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """With --run: also Keras itself, and PyTorch's network of this architecture where timm is installed; ONNX
    Runtime runs the run's .onnx files. What is missing is said."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.html", help_behavior_hint="")] = Path()
    """The page; by default RUN.benchmark.html beside the run, or benchmark.html."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON and nothing else; a page is then written only where --out names one."""


@dataclass(frozen=True)
class Found:
    """What was measured."""

    title: str
    rows: list[Row]
    missing: list[str]
    machine: dict[str, str]

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        rows = [row.record() for row in self.rows]
        return {"title": self.title, "machine": self.machine, "missing": self.missing, "rows": rows}


def check(settings: BenchmarkSettings) -> None:
    """Make sure that the settings make sense together.

    Raises:
        InputError: names the flag.
    """
    if bool(settings.files) == (settings.run != Path()):
        raise InputError("expected either files or --run RUN, such as --run saved_models/sample")
    if settings.peers and settings.run == Path():
        raise InputError("--peers: needs --run, which says what the network is")
    for name, value, most in (
        ("seconds", settings.seconds, MOST_SECONDS),
        ("rounds", settings.rounds, MOST_ROUNDS),
    ):
        if not 0 < value <= most:
            raise InputError(f"--{name} {value:g}: expected above 0 and at most {most:g}")
    if wrong := [count for count in settings.threads if not 1 <= count <= MOST_THREADS]:
        raise InputError(f"--threads {wrong[0]}: expected 1 to {MOST_THREADS}")
    if settings.out != Path() and settings.out.suffix not in (".html", ".htm"):
        raise InputError(f"--out {settings.out}: expected a name that ends in .html")


def measure(settings: BenchmarkSettings) -> Found:
    """Measure what the settings name.

    Raises:
        InputError: as `check`, or no such run or file, or one that cannot be run here.
    """
    check(settings)
    missing: list[str] = []
    if settings.files:
        chosen = subjects.of_files(settings.files)
        title = ", ".join(subject.name for subject in chosen[:3]) + (" …" if len(chosen) > 3 else "")
    else:
        chosen, missing = subjects.of_run(settings.run, settings.peers)
        title = settings.run.resolve().name
    threads = measuring.thread_counts(settings.threads)
    rows = measuring.measure(chosen, threads, settings.seconds, settings.rounds)
    return Found(title, rows, missing, _machine(threads, settings))


def page_of(settings: BenchmarkSettings) -> Path | None:
    """Return where the page goes; None where there is to be none."""
    if settings.out != Path():
        return settings.out
    if settings.json:
        return None
    run = settings.run.resolve()
    return Path("benchmark.html") if settings.files else run.with_name(f"{run.name}.benchmark.html")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, a line each."""
    titles = [
        "file",
        "KB",
        "accuracy",
        "threads",
        "XNNPACK",
        "ms p50",
        "p90",
        "images/s",
        "MB",
        "M MACs",
        "µJ",
    ]
    lines = [titles, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _cells(row: Row) -> list[str]:
    return [
        row.name,
        "–" if row.kilobytes is None else f"{row.kilobytes:,.0f}",
        "–" if row.accuracy is None else f"{row.accuracy:.2%}",
        str(row.threads),
        "–" if row.xnnpack is None else "off" if not row.xnnpack else f"on, {row.pieces}",
        f"{row.ms_p50:.3g}" if row.ms_p50 < 100 else f"{row.ms_p50:,.0f}",
        f"{row.ms_p90:.3g}" if row.ms_p90 < 100 else f"{row.ms_p90:,.0f}",
        f"{row.images_per_second:,.4g}",
        f"{row.megabytes:,.3g}",
        "–" if row.macs is None else f"{row.macs / 1e6:,.4g}",
        "–" if row.microjoules is None else f"{row.microjoules:,.4g}",
    ]


def _machine(threads: Sequence[int], settings: BenchmarkSettings) -> dict[str, str]:
    return {
        "system": platform.platform(terse=True),
        "processor": platform.processor() or platform.machine(),
        "processors": str(cores()),
        "threads": ", ".join(map(str, threads)),
        "a measurement": f"{settings.seconds:g} s, {settings.rounds} round{'s' * (settings.rounds > 1)}",
    }
