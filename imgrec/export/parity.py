"""Whether a shipped file answers as the model it was made from: measured on real images, then judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imgrec.artefact import Artefact, Promise
from imgrec.runtimes import open_runtime
from imgrec.tasks.task import Outputs, Task

MIN_AGREEMENT = 0.98
MAX_ACCURACY_LOSS = 0.01


@dataclass(frozen=True)
class ParityRow:
    """One file's figures on the same real images as its model's.

    `accuracy` and `float_accuracy` (the float model's) are the shares of images that are `task.right`,
    `agreement` the share on which file and reference are `task.same`, `max_abs_difference` the largest
    distance between their outputs, `ms_per_image` the median on one thread.
    """

    name: str
    accuracy: float
    agreement: float
    max_abs_difference: float
    kilobytes: float
    ms_per_image: float
    float_accuracy: float
    images: int
    promise: Promise


def measure(
    artefact: Artefact,
    images: np.ndarray,
    labels: np.ndarray,
    reference: Outputs,
    float_outputs: Outputs,
    task: Task,
) -> ParityRow:
    """Put every image through the file, one at a time, and compare with its model's answers.

    Args:
        artefact: the file; its name without the ending names the row.
        images: uint8 `[N, H, W, C]`, preprocessed, N ≥ 1.
        labels: of the N images, as `Split.labels` has them.
        reference: float32 `[N, outputs]` of the Keras model that the file was made from.
        float_outputs: of the trained float model; the same where the file was made from that.
        task: what outputs mean.

    Raises:
        ValueError: no images, or counts that differ.
    """
    counts = {len(images), len(labels), len(reference), len(float_outputs)}
    if counts != {len(images)} or not len(images):
        raise ValueError(f"expected as many images as labels and answers, at least one; got {sorted(counts)}")
    outputs, seconds = open_runtime(artefact.path, num_threads=1).timed(images)
    return ParityRow(
        name=artefact.path.stem,
        accuracy=float(task.right(outputs, labels).mean()),
        agreement=float(task.same(outputs, reference).mean()),
        max_abs_difference=float(np.abs(outputs - reference).max()),
        kilobytes=artefact.path.stat().st_size / 1000,
        ms_per_image=1000 * float(np.median(seconds)),
        float_accuracy=float(task.right(float_outputs, labels).mean()),
        images=len(images),
        promise=artefact.promise,
    )


def gate(rows: Sequence[ParityRow]) -> list[str]:
    """Return one sentence for each way in which a file fails; empty when all may ship.

    A file that promises the same answers must agree with its model on 98 % of the images, and every
    file's accuracy may be at most one point below the float model's. A single image either way says
    nothing, so one is always allowed.
    """
    failures = []
    for row in rows:
        differ = round((1 - row.agreement) * row.images)
        agrees = differ <= max(1, (1 - MIN_AGREEMENT) * row.images)
        if row.promise is Promise.SAME_ANSWERS and not agrees:
            failures.append(
                f"{row.name}: agrees with the model it was made from on {row.agreement:.2%} of "
                f"{row.images:,} images, at least {MIN_AGREEMENT:.0%} expected"
            )
        lost = round((row.float_accuracy - row.accuracy) * row.images)
        if lost > max(1, MAX_ACCURACY_LOSS * row.images):
            failures.append(
                f"{row.name}: accuracy {row.accuracy:.2%} is {100 * (row.float_accuracy - row.accuracy):.2f} "
                f"points below the float model's {row.float_accuracy:.2%}, at most one expected"
            )
    return failures


def table(rows: Sequence[ParityRow]) -> str:
    """Return the rows as a text table, one line a file."""
    titles = ("file", "accuracy", "agreement", "max |Δ|", "KB", "ms/image")
    lines = [titles] + [
        (
            row.name,
            f"{row.accuracy:.2%}",
            f"{row.agreement:.2%}",
            f"{row.max_abs_difference:.3g}",
            f"{row.kilobytes:,.0f}",
            f"{row.ms_per_image:.2f}",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
