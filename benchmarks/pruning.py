"""What pruning is worth: work, size, time and accuracy of a finished run's files, before and after.

    python -m benchmarks.pruning --runs saved_models/sample --prune 0.5 "weights(sparsity=0.8)"

For each `--prune` the run is exported with it and without, float32 and int8 (`--quantize`); then file and
pruned file answer in turn on one thread, so that a machine whose speed drifts does not decide between them.
Accuracy and the interval of its loss are on the run's test images, as the gate measures them; "packed" is the
file under gzip, as an app's package or a network sees it. The files stay in `--out`.
"""

import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paired import compare
from imgrec import bundle
from imgrec.runtimes import open_runtime
from pipelines import export
from pipelines.cli import guarded, parse

WIDTHS = (24, 12, 7, 9, 8, 19, 7, 20)
TITLES = ("file", "MACs", "KB", "packed KB", "accuracy", "lost, points (95 %)", "ms", "× faster (wall, cpu)")


@dataclass(frozen=True)
class Settings:
    """What is pruned, and how."""

    runs: tuple[Path, ...] = field(default=())
    """Folders of finished runs."""
    prune: tuple[str, ...] = ("0.5",)
    """How, as --prune of train."""
    quantize: str = "ptq"
    """Which int8 files are made."""
    images: int = 20
    """Images that a file answers for in a turn."""
    rounds: int = 25
    """Turns of each file."""
    out: Path = Path("saved_models/pruning")
    """Folder of all that is made."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make the files and print the tables."""
    settings = parse(Settings, argv, prog="python -m benchmarks.pruning", description=__doc__)
    for run in settings.runs:
        whole = _exported(run, "none", settings.out / run.name / "whole", settings)
        for number, prune in enumerate(settings.prune, start=1):
            pruned = _exported(run, prune, settings.out / run.name / f"{number}", settings)
            print(f"\n{run.name}, --prune {prune}", flush=True)
            for row in (TITLES, *_rows(whole, pruned, settings)):
                print("  ".join(cell.rjust(width) for cell, width in zip(row, WIDTHS, strict=True)))
    return 0


def _exported(run: Path, prune: str, out: Path, settings: Settings) -> Path:
    """Write the run's files with a pruning, unless an earlier call has."""
    if not (out / bundle.MANIFEST).is_file():
        words = ["--run", str(run), "--prune", prune, "--quantize", settings.quantize, "--out", str(out)]
        export.main(words)
    return out


def _rows(whole: Path, pruned: Path, settings: Settings) -> list[tuple[str, ...]]:
    """The files of both folders side by side."""
    from imgrec.compression.cost import macs

    (made,) = (entry for entry in pruned.iterdir() if entry.is_dir())
    run = json.loads((pruned / "run.json").read_text(encoding="utf-8"))
    before = macs(bundle.build(run["model"]))
    after = macs(bundle.load(made).model)
    rows = []
    for name, told in _measured(whole).items():
        files = [whole / f"{name}.tflite", pruned / f"{made.name}_{name}.tflite"]
        calls = [_call(file, settings.images) for file in files]
        ratio = compare(calls[1], calls[0], settings.rounds)
        milliseconds = [1000 * taken / settings.images for taken in (ratio.second, ratio.first)]
        faster = f"{ratio.wall:.2f}, {ratio.cpu:.2f}"
        rows.append(_row(files[0], before, told, milliseconds[0], ""))
        other = _measured(pruned)[files[1].stem]
        rows.append(_row(files[1], after, other, milliseconds[1], faster))
    return rows


def _row(file: Path, work: int, told: dict[str, Any], milliseconds: float, faster: str) -> tuple[str, ...]:
    """The figures of one file, by `TITLES`."""
    low, high = told["lost"]["interval_95"]
    return (
        file.stem,
        f"{work:,}",
        f"{told['kilobytes']:,.0f}",
        f"{len(gzip.compress(file.read_bytes(), 9)) / 1000:,.0f}",
        f"{told['accuracy']:.2%}",
        f"{100 * told['lost']['difference']:+.2f} ({100 * low:+.2f} {100 * high:+.2f})",
        f"{milliseconds:.3f}",
        faster,
    )


def _measured(folder: Path) -> dict[str, Any]:
    exports = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["exports"]
    return {row["name"]: row for row in exports["files"]}


def _call(path: Path, count: int) -> Any:
    runtime = open_runtime(path, num_threads=1)
    images = np.random.default_rng(0).integers(0, 256, (count, *runtime.image), dtype=np.uint8)
    return lambda: runtime.answer(images)


if __name__ == "__main__":
    guarded(lambda: main(sys.argv[1:]))
