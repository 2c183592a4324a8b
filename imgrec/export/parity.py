"""Whether a shipped file answers as the model it was made from: measured on real images, then judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imgrec.artefact import Artefact, Promise
from imgrec.files import size_of
from imgrec.metrics import paired
from imgrec.metrics.intervals import exact_interval
from imgrec.metrics.paired import Paired
from imgrec.runtimes import open_runtime
from imgrec.tasks.task import Outputs, Task

MIN_AGREEMENT = 0.98
MAX_ACCURACY_LOSS = 0.01


@dataclass(frozen=True)
class ParityRow:
    """One file's figures on the same real images as its model's.

    `accuracy` and `float_accuracy` (the float model's) are the shares of images that are `task.right`,
    `agreement` the share on which file and reference are `task.same`, with its exact 95 % interval,
    `lost` what the same images say of float model (first) and file (second), `max_abs_difference` the
    largest distance between the scores of file and reference, `ms_per_image` the median on one thread.
    """

    name: str
    accuracy: float
    agreement: float
    agreement_interval_95: list[float]
    max_abs_difference: float
    kilobytes: float
    ms_per_image: float
    float_accuracy: float
    lost: Paired
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
        artefact: the file; its `name` is the row's.
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
    runtime = open_runtime(artefact.path, num_threads=1)
    outputs, seconds = runtime.timed(images)
    scores, expected = runtime.scores_of(outputs, task), task.scores(reference)
    right, float_right = task.right(scores, labels), task.right(task.scores(float_outputs), labels)
    same = task.same(scores, expected)
    return ParityRow(
        name=artefact.name,
        accuracy=float(right.mean()),
        agreement=float(same.mean()),
        agreement_interval_95=exact_interval(int(same.sum()), len(same)),
        max_abs_difference=float(np.abs(scores - expected).max()),
        kilobytes=size_of(artefact.path) / 1000,
        ms_per_image=1000 * float(np.median(seconds)),
        float_accuracy=float(float_right.mean()),
        lost=paired.from_answers(float_right, right),
        images=len(images),
        promise=artefact.promise,
    )


def gate(rows: Sequence[ParityRow]) -> list[str]:
    """Return one sentence for each way in which a file is shown to fail; empty when all may ship.

    A file that promises the same answers is to agree with its model on 98 % of images, and every file is to
    be at most one point less accurate than the float model. It fails where the images there are show that
    it does not: where all of the 95 % interval lies beyond the bound. What they cannot show, `doubts` says.
    """
    failures = []
    for row in rows:
        agrees = row.agreement_interval_95[1]
        if row.promise is Promise.SAME_ANSWERS and agrees < MIN_AGREEMENT:
            failures.append(
                f"{row.name}: agrees with the model it was made from on {row.agreement:.2%} of "
                f"{row.images:,} images (95 % interval up to {agrees:.2%}), "
                f"at least {MIN_AGREEMENT:.0%} expected"
            )
        least = row.lost.interval_95[0]
        if least > MAX_ACCURACY_LOSS:
            failures.append(
                f"{row.name}: accuracy {row.accuracy:.2%} is {100 * row.lost.difference:.2f} points below "
                f"the float model's {row.float_accuracy:.2%} (95 % interval from {100 * least:.2f}), "
                "at most one expected"
            )
    return failures


def doubts(rows: Sequence[ParityRow]) -> str:
    """Return in one line what the images are too few to show of files that did not fail; empty if nothing."""
    failed = {failure.partition(":")[0] for failure in gate(rows)}
    parts = [f"{row.name} {doubt}" for row in rows if row.name not in failed and (doubt := _doubt(row))]
    if not parts:
        return ""
    return f"{rows[0].images:,} images cannot show one point (95 % intervals): {'; '.join(parts)}"


def _doubt(row: ParityRow) -> str:
    """Return which of its bounds the row's interval reaches across, and how far; empty where none."""
    low, high = row.agreement_interval_95
    if row.promise is Promise.SAME_ANSWERS and low < MIN_AGREEMENT:
        return f"agrees on {100 * low:.0f} to {100 * high:.0f} %"
    less, more = row.lost.interval_95
    if more > MAX_ACCURACY_LOSS:
        return f"accuracy {100 * max(0.0, -less):.1f} points above to {100 * more:.1f} below"
    return ""


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
