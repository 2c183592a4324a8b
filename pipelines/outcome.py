"""What a training leaves in its run folder, and the last lines it prints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgrec import bundle
from pipelines.setup import Job

PARITY_IMAGES = 2000
"""At most this many test images go through every exported file, one at a time as on a phone."""


@dataclass(frozen=True)
class Result:
    """The model's own answers on the test split."""

    pixels: np.ndarray | None
    logits: np.ndarray
    metrics: dict[str, Any]


def write_inputs(job: Job, folder: Path) -> None:
    """Write what is known before training: run.json, preprocess.json, labels.txt."""
    from imgrec import runtime

    counts = {name: len(split) for name, split in job.source.splits.items()}
    record = {
        "format": bundle.FORMAT,
        "command": job.command,
        "config": job.config.tree(),
        "model": job.recorded_model,
        "machine": job.machine,
        "versions": runtime.versions(),
        "data": {"name": job.source.name, "fingerprint": job.source.fingerprint, "images": counts},
    }
    bundle.write_json(folder / "run.json", record)
    bundle.write_text(folder / "preprocess.json", job.preprocess.to_json())
    bundle.write_labels(folder / "labels.txt", job.source.classes)


def evaluate(job: Job, folder: Path) -> Result:
    """Answer for every test image, write predictions.csv and return the figures."""
    from imgrec.data.pipeline import evaluation_dataset
    from imgrec.evaluation import metrics

    test, classes = job.source.test, job.source.classes
    logits = job.model.predict(
        evaluation_dataset(test, job.preprocess, len(classes), batch_size=job.batch_size), verbose=0
    )
    metrics.write_predictions(folder / "predictions.csv", test.ids, test.labels, logits, classes)
    return Result(None, logits, metrics.summarize(logits, test.labels, classes))
