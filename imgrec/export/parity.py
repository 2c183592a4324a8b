"""Whether a shipped file answers as the model it was made from: measured on real images, then judged."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgrec.data.sources.labels import decide, equal

MIN_AGREEMENT = 0.98
MAX_ACCURACY_LOSS = 0.01
SAME_COMPUTATION = ("float32", "qat")
"""How the names of files begin that must agree with their model; others are judged by accuracy alone."""


@dataclass(frozen=True)
class ParityRow:
    """One file's figures on the same real images as its model's.

    `accuracy` and `float_accuracy` (the float model's) are shares of the labels, `agreement` the share
    of images on which file and reference give the same class, `max_abs_difference` the largest
    distance between their logits, `ms_per_image` the median on one thread. Where an image may have several
    labels it counts as right, or as agreed on, when all of them are.
    """

    name: str
    accuracy: float
    agreement: float
    max_abs_difference: float
    kilobytes: float
    ms_per_image: float
    float_accuracy: float
    images: int


def measure(
    path: str | Path,
    images: np.ndarray,
    labels: np.ndarray,
    reference_logits: np.ndarray,
    float_logits: np.ndarray | None = None,
) -> ParityRow:
    """Put every image through the file, one at a time, and compare with its model's answers.

    Args:
        path: TFLite file; its name without the ending names the row.
        images: uint8 `[N, H, W, C]`, preprocessed, N ≥ 1.
        labels: int `[N]`, or several an image 0 or 1 in `[N, num_classes]`.
        reference_logits: float32 `[N, num_classes]` of the Keras model that the file was made from.
        float_logits: of the float model; the reference where the file was made from that.

    Raises:
        ValueError: no images, or counts that differ.
    """
    if float_logits is None:
        float_logits = reference_logits
    counts = {len(images), len(labels), len(reference_logits), len(float_logits)}
    if counts != {len(images)} or not len(images):
        raise ValueError(f"expected as many images as labels and answers, at least one; got {sorted(counts)}")
    logits, seconds = run(path, images)
    said, reference, before = (
        decide(answers, labels) for answers in (logits, reference_logits, float_logits)
    )
    return ParityRow(
        name=Path(path).stem,
        accuracy=float(equal(said, labels).mean()),
        agreement=float(equal(said, reference).mean()),
        max_abs_difference=float(np.abs(logits - reference_logits).max()),
        kilobytes=Path(path).stat().st_size / 1000,
        ms_per_image=1000 * float(np.median(seconds)),
        float_accuracy=float(equal(before, labels).mean()),
        images=len(images),
    )


def run(path: str | Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the file's logits `[N, num_classes]` for uint8 images, and the seconds each one took."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    logits = np.empty((len(images), int(target["shape"][-1])), "float32")
    seconds = np.empty(len(images))
    for number, image in enumerate(images):
        start = time.perf_counter()
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        logits[number] = interpreter.get_tensor(target["index"])[0]
        seconds[number] = time.perf_counter() - start
    return logits, seconds


def gate(rows: Sequence[ParityRow]) -> list[str]:
    """Return one sentence for each way in which a file fails; empty when all may ship.

    A float32 or quantisation-aware file must agree with its model on 98 % of the images, and every
    file's accuracy may be at most one point below the float model's. A single image either way says
    nothing, so one is always allowed.
    """
    failures = []
    for row in rows:
        differ = round((1 - row.agreement) * row.images)
        if row.name.startswith(SAME_COMPUTATION) and differ > max(1, (1 - MIN_AGREEMENT) * row.images):
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
