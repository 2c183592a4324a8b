"""Whether a shipped file answers as the model it was made from: measured on real images, then judged.

Measured from end to end: encoded bytes in, prepared by what the file says of itself, names of classes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imgrec import tasks
from imgrec.artefact import Artefact, Promise
from imgrec.data.preprocess import Preprocess
from imgrec.export.encoded import Encoded
from imgrec.export.inventory import Inventory, take
from imgrec.files import size_of
from imgrec.metrics import paired, reliability
from imgrec.metrics.intervals import exact_interval, wilson_interval
from imgrec.metrics.paired import Paired
from imgrec.phrases import Phrase, listed
from imgrec.runtimes import Runtime, open_runtime
from imgrec.tasks.task import Outputs, Task

MIN_AGREEMENT = 0.98
MAX_ACCURACY_LOSS = 0.01
MAX_CALIBRATION_DEPARTURE = 0.005
"""Between a file's calibration error and the float model's, of which nothing is said."""


@dataclass(frozen=True)
class ParityRow:
    """One file's figures on the same real images as its model's.

    `accuracy` (with Wilson's 95 % interval) and `float_accuracy` (the float model's) are the shares of images
    that are `task.right`, `agreement` the share on which file and reference are `task.same`, with its exact
    95 % interval, `lost` what the same images say of float model (first) and file (second),
    `max_abs_difference` the largest distance between the scores of file and reference, `ms_per_image` the
    median on one thread. `pixels_differ` counts images whose bytes the file's own description prepares to
    other pixels than the model was measured on, `names_differ` says whether it has other names for the
    classes; `inventory` is there of a TFLite file, `layers` has the errors that rounding makes in each layer,
    `departs` says where a file that fails the gate leaves the model it was written from, and `note` what was
    done to make it pass; `format` is that of the file. `calibration_error` is the distance between how sure
    the file is and how often it is right (`metrics.reliability.error`), `float_calibration_error` the float
    model's; None where outputs are no probabilities.
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
    accuracy_interval_95: list[float] = field(default_factory=list)
    pixels_differ: int = 0
    names_differ: bool = False
    inventory: Inventory | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    departs: str = ""
    note: str = ""
    format: str = ""
    calibration_error: float | None = None
    float_calibration_error: float | None = None


def measure(
    artefact: Artefact,
    images: np.ndarray,
    labels: np.ndarray,
    reference: Outputs,
    float_outputs: Outputs,
    task: Task,
    encoded: Encoded | None = None,
) -> ParityRow:
    """Put every image through the file, one at a time, and compare with its model's answers.

    Args:
        artefact: the file; its `name` is the row's.
        images: uint8 `[N, H, W, C]`, preprocessed, N ≥ 1.
        labels: of the N images, as `Split.labels` has them.
        reference: float32 `[N, outputs]` of the Keras model that the file was made from.
        float_outputs: of the trained float model; the same where the file was made from that.
        task: what outputs mean.
        encoded: the same images as bytes, which the file is then given; None gives it the pixels.

    Raises:
        ValueError: no images, or counts that differ.
    """
    counts = {len(images), len(labels), len(reference), len(float_outputs)}
    if counts != {len(images)} or not len(images):
        raise ValueError(f"expected as many images as labels and answers, at least one; got {sorted(counts)}")
    runtime = open_runtime(artefact.path, num_threads=1)
    texts = _texts(artefact, runtime)
    pixels = images
    if encoded is not None and "preprocess.json" in texts:
        pixels = encoded.pixels(Preprocess.from_json(texts["preprocess.json"]))
    names = tasks.from_texts(texts, artefact.path).classes if tasks.LABELS in texts else task.classes
    outputs, seconds = runtime.timed(pixels)
    scores, expected = runtime.scores_of(outputs, task), task.scores(reference)
    float_scores = task.scores(float_outputs)
    right, float_right = task.right(scores, labels), task.right(float_scores, labels)
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
        format=artefact.format,
        accuracy_interval_95=wilson_interval(int(right.sum()), len(right)),
        pixels_differ=_count_differing(pixels, images),
        names_differ=names != task.classes,
        calibration_error=_calibration_error(task, scores, labels),
        float_calibration_error=_calibration_error(task, float_scores, labels),
        inventory=take(artefact.path) if artefact.path.suffix == ".tflite" else None,
    )


def _calibration_error(task: Task, scores: np.ndarray, labels: np.ndarray) -> float | None:
    decided = task.decisions(scores, labels)
    return None if decided is None else reliability.error(decided[0].ravel(), decided[1].ravel())


def _texts(artefact: Artefact, runtime: Runtime) -> dict[str, str]:
    """Return what is said of the file inside it, or beside it."""
    folder = artefact.path.parent
    beside = {
        name: (folder / name).read_text(encoding="utf-8")
        for name in ("preprocess.json", tasks.LABELS, tasks.FILE)
        if (folder / name).is_file()
    }
    return {**beside, **runtime.texts}


def _count_differing(pixels: np.ndarray, images: np.ndarray) -> int:
    if pixels is images:
        return 0
    if pixels.shape != images.shape:
        return len(images)
    return int((pixels != images).reshape(len(images), -1).any(axis=1).sum())


def gate(rows: Sequence[ParityRow]) -> list[str]:
    """Return one sentence for each way in which a file is shown to fail; empty when all may ship.

    A file that promises the same answers is to agree with its model on 98 % of images, and every file is to
    be at most one point less accurate than the float model. It fails where the images there are show that
    it does not: where all of the 95 % interval lies beyond the bound. What they cannot show, `doubts` says.
    """
    return [failure for row in rows for failure in _failures(row)]


def _failures(row: ParityRow) -> list[str]:
    failures: list[str] = []
    images = row.images
    if row.pixels_differ:
        failures.append(
            Phrase(
                "{file}: its own description prepares {differ:,} of {images:,} images to other pixels than "
                "its model had",
                file=row.name,
                differ=row.pixels_differ,
                images=images,
            )
        )
    if row.names_differ:
        failures.append(Phrase("{file}: has other names for the classes than its model", file=row.name))
    agrees = row.agreement_interval_95[1]
    if row.promise is Promise.SAME_ANSWERS and agrees < MIN_AGREEMENT:
        failures.append(
            Phrase(
                "{file}: agrees with the model it was made from on {share:.2%} of {images:,} images "
                "(95 % interval up to {most:.2%}), at least {bound:.0%} expected",
                file=row.name,
                share=row.agreement,
                images=images,
                most=agrees,
                bound=MIN_AGREEMENT,
            )
        )
    least = row.lost.interval_95[0]
    if least > MAX_ACCURACY_LOSS:
        failures.append(
            Phrase(
                "{file}: accuracy {share:.2%} is {points:.2f} points below the float model's "
                "{float_share:.2%} (95 % interval from {least:.2f}), at most one expected",
                file=row.name,
                share=row.accuracy,
                points=100 * row.lost.difference,
                float_share=row.float_accuracy,
                least=100 * least,
            )
        )
    return failures


def doubts(rows: Sequence[ParityRow]) -> Phrase:
    """Return in one line what the images are too few to show of files that did not fail; empty if nothing."""
    parts = [
        Phrase("{file} {doubt}", file=row.name, doubt=doubt)
        for row in rows
        if not _failures(row) and (doubt := _doubt(row))
    ]
    if not parts:
        return Phrase("")
    return Phrase(
        "{images:,} images cannot show one point (95 % intervals): {parts}",
        images=rows[0].images,
        parts=listed(parts),
    )


def _doubt(row: ParityRow) -> Phrase:
    """Return which of its bounds the row's interval reaches across, and how far; empty where none."""
    low, high = row.agreement_interval_95
    if row.promise is Promise.SAME_ANSWERS and low < MIN_AGREEMENT:
        return Phrase("agrees on {low:.0f} to {high:.0f} %", low=100 * low, high=100 * high)
    less, more = row.lost.interval_95
    if more > MAX_ACCURACY_LOSS:
        above = 100 * max(0.0, -less)
        return Phrase("accuracy {above:.1f} points above to {below:.1f} below", above=above, below=100 * more)
    return Phrase("")


def table(rows: Sequence[ParityRow]) -> str:
    """Return the rows as a text table, one line a file."""
    titles = ("file", "accuracy", "95 %", "agreement", "max |Δ|", "KB", "ms/image")
    lines = [titles] + [
        (
            row.name,
            f"{row.accuracy:.2%}",
            "–".join(f"{100 * end:.1f}" for end in row.accuracy_interval_95),
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


def insides(rows: Sequence[ParityRow]) -> list[str]:
    """Return what is inside each TFLite file, and where one leaves its model, in lines that name the file."""
    lines = []
    for row in rows:
        told = row.inventory.lines() if row.inventory else []
        told += [sure] if (sure := _sureness(row)) else []
        told += [f"worst layers: {worst}"] if (worst := worst_layers(row)) else []
        lines += [f"{row.name}: {line}" for line in (*told, row.departs, row.note) if line]
    return lines


def _sureness(row: ParityRow) -> str:
    """Return the calibration error beside the float model's, and what a difference means; or nothing."""
    own, theirs = row.calibration_error, row.float_calibration_error
    if own is None or theirs is None:
        return ""
    line = f"calibration error {100 * own:.2f} %, the float model's {100 * theirs:.2f} %"
    far = abs(own - theirs) > MAX_CALIBRATION_DEPARTURE
    return f"{line}: more than half a point apart, its probabilities mean something else" if far else line


def worst_layers(row: ParityRow, count: int = 3) -> str:
    """Return the layers that rounding harms most, with signal to noise in dB; empty where none is known."""
    key = "own_db" if all(layer["own_db"] is not None for layer in row.layers) else "db"
    ranked = sorted(row.layers, key=lambda layer: layer[key])[:count]
    return ", ".join(f"{layer['name']} {layer[key]:.0f} dB" for layer in ranked)
