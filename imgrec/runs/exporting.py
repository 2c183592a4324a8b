"""Export every file that was asked for, and measure each against the model it was made from."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.runs import resume
from imgrec.runs.session import Job

PARITY_IMAGES = 2000
"""At most this many test images go through every file, one at a time as on a phone."""


@dataclass(frozen=True)
class Exported:
    """The files' figures, on the same images."""

    images: int
    rows: list[Any]
    failures: list[str]
    table: str


def export(job: Job, folder: Path, logits: np.ndarray) -> Exported:
    """Write exports/*.tflite and put the same real test images through model and files.

    `logits` are the trained model's answers for the whole test split, float32 `[N, num_classes]`.
    """
    from imgrec.compression import qat
    from imgrec.data.loading import load_arrays
    from imgrec.export import litert, parity
    from imgrec.runtime import scope, seed_everything

    chosen = spread(len(job.source.test), PARITY_IMAGES)
    test = job.source.test.take(chosen)
    images, labels, logits = load_arrays(test, job.preprocess), test.labels, logits[chosen]
    target, quantize = folder / "exports", job.config.quantize.quantize
    rows = []

    def measured(name: str, reference: np.ndarray) -> None:
        rows.append(parity.measure(target / f"{name}.tflite", images, labels, reference, logits))

    print("exporting float32.tflite", flush=True)
    litert.to_float32(job.model, target / "float32.tflite")
    measured("float32", logits)
    if quantize != "none":
        print("exporting ptq_int8.tflite", flush=True)
        # What was drawn before depends on how often the training was interrupted.
        seed_everything(job.config.run.seed)
        with scope(job.strategy):
            quantized = qat.prepare(job.model, calibration_images(job))
        litert.to_int8(quantized, target / "ptq_int8.tflite")
        measured("ptq_int8", logits)
    if quantize == "qat":
        fine_tune(job, quantized, folder)
        print("exporting qat_int8.tflite", flush=True)
        litert.to_int8(quantized, target / "qat_int8.tflite")
        pixels = images.astype("float32")
        measured("qat_int8", quantized.predict(pixels, batch_size=job.batch_size, verbose=0))
    return Exported(len(images), rows, parity.gate(rows), parity.table(rows))


def fine_tune(job: Job, quantized: Any, folder: Path) -> None:
    """Train the quantisation-aware model a little longer, in place, on the epochs after the last."""
    from imgrec.training.fit import fit

    settings, optim = job.config.quantize, job.config.optim
    print(f"quantisation-aware fine-tuning, {settings.qat_epochs} epochs", flush=True)
    fit(
        quantized,
        job.training_stream(
            settings.qat_epochs, first_epoch=optim.epochs, sampling=job.objective.balance.last_sampling
        ),
        job.validation_dataset(),
        optim=dataclasses.replace(
            optim,
            epochs=settings.qat_epochs,
            batch_size=job.batch_size,
            optimizer="sgd",
            schedule="cosine",
            l1=0.0,
            l2=0.0,
            ema=0.0,
            swa_epochs=0,
            sam=0.0,
            learning_rate=settings.qat_learning_rate,
            warmup_epochs=0.1,
            patience=0,
        ),
        steps_per_epoch=job.steps_per_epoch,
        loss=job.objective.loss,
        score=job.objective.score,
        strategy=job.strategy,
        history_path=folder / "history_qat.csv",
        policy=resume.checkpoint_policy(job, folder, "qat"),
    )


def calibration_images(job: Job) -> np.ndarray:
    """Training images as they are shipped to the file, uint8 `[N, H, W, C]`, spread over the split."""
    from imgrec.data.loading import load_arrays

    train = job.source.train
    return load_arrays(train.take(spread(len(train), job.config.quantize.calibration_images)), job.preprocess)


def spread(total: int, wanted: int) -> np.ndarray:
    """Return at most `wanted` positions of `total`, evenly spread, so that sorted classes all take part."""
    return np.unique(np.linspace(0, total - 1, min(total, wanted)).round().astype(int))
