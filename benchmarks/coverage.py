"""Prediction sets of a run on 20 random divisions of the images that it did not learn from.

python -m benchmarks.coverage RUN

The validation and test outputs that the run keeps are divided anew by 20 seeds: one half gives temperature
and threshold (a half of it each, as training does), the other is judged. A row a method and a wanted
coverage: how many of the 20 lie in the 95 % band of the theory, the mean coverage, and that with the answer
itself in its set, as the run gives them, with its mean size; then the same of the test images alone, which
chose no epoch.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from imgrec import bundle
from imgrec.config.calibration import CalibrationConfig
from imgrec.evaluation import stored
from imgrec.metrics import conformal
from imgrec.runs.calibrating import fit
from imgrec.tasks.task import Task

SEEDS = 20


def row(task: Task, outputs: np.ndarray, labels: np.ndarray, settings: CalibrationConfig) -> str:
    """Divide, fit and judge `SEEDS` times, and return what came of it."""
    inside, bare, held, size = 0, [], [], []
    for seed in range(SEEDS):
        order = np.random.default_rng(1000 + seed).permutation(len(labels))
        known, new = np.array_split(order, 2)
        fitted, _ = fit(task, settings, seed, outputs[known], labels[known])
        sets = fitted.calibration and fitted.calibration.sets
        if not sets:
            raise SystemExit("too few images for prediction sets")
        scores, own = fitted.scores(outputs[new]), (np.arange(len(new)), labels[new])
        members = sets.members(scores)
        bare.append(float((conformal.SCORES[sets.method](scores)[own] <= sets.threshold).mean()))
        held.append(float(members[own].mean()))
        size.append(float(members.sum(axis=1).mean()))
        low, high = conformal.band(len(new), sets.images, sets.coverage)
        inside += low <= bare[-1] <= high
    return f"{inside:2d} of {SEEDS}  {np.mean(bare):.4f}  {np.mean(held):.4f}  {np.mean(size):.3f}"


def main(folder: Path) -> None:
    """Print the table of a run."""
    run = bundle.read(folder)
    kept = stored.read(folder, run.task)
    task = replace(run.task, calibration=None)
    both = [
        np.concatenate(parts)
        for parts in zip(*((kept[n].outputs, kept[n].labels) for n in ("val", "test")), strict=True)
    ]
    for name, (outputs, labels) in {
        "validation and test": both,
        "test alone": (kept["test"].outputs, kept["test"].labels),
    }.items():
        print(f"{name}, {len(labels):,} images: in band, coverage, with the answer itself, classes in a set")
        for method in ("lac", "aps_randomised", "aps"):
            for coverage in (0.9, 0.95, 0.99):
                settings = CalibrationConfig(prediction_sets=method, coverage=coverage)  # type: ignore[arg-type]
                print(f"  {method:<15} {coverage:.2f}  {row(task, outputs, labels, settings)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
