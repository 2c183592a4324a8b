"""Figures of one class against all others, with their intervals, and their means over the classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics import bootstrap
from imgrec.metrics.counted import Counts
from imgrec.metrics.figure import Figure, Gap, drawn, few_of, mean, share
from imgrec.metrics.ranking import areas


class ClassAreas(NamedTuple):
    """Areas under the two curves of each class, and both in every draw, `[C, B]`."""

    figures: list[dict[str, Figure]]
    auc: NDArray[np.float64]
    average_precision: NDArray[np.float64]


def areas_of(
    scores: NDArray[np.floating], marks: NDArray[np.bool_], weights: NDArray[np.floating]
) -> ClassAreas:
    """Return the areas of each class, one against all others.

    Args:
        scores: `[N, C]`, high for the class.
        marks: bool `[N, C]`, what each image is of.
        weights: `[N, B]`, how often an image is in each draw.
    """
    images, size = scores.shape
    auc, average = np.full((2, size, weights.shape[1]), np.nan)
    with_whole = np.concatenate([np.ones((images, 1), np.float32), weights], axis=1)
    figures = []
    for k in range(size):
        mine, held = scores[:, k], marks[:, k]
        gap = one_sided(int(held.sum()), images)
        if gap is not None and gap.reason != "few images":
            figures.append({"auc": Figure(None, gap=gap), "average_precision": Figure(None, gap=gap)})
            continue
        found = areas(mine, held, with_whole)
        auc[k], average[k] = found.auc[1:], found.average_precision[1:]
        figures.append(
            {
                "auc": drawn(found.auc[0], auc[k], images, gap=gap),
                "average_precision": drawn(found.average_precision[0], average[k], images, gap=gap),
            }
        )
    return ClassAreas(figures, auc, average)


def one_sided(positives: int, images: int) -> Gap | None:
    """Return why one class against the others has no curve, or no interval: none or few of one side."""
    if not positives:
        return Gap("no images")
    if positives == images:
        return Gap("only such images")
    least = min(positives, images - positives)
    return Gap("few images", least) if least < bootstrap.LEAST else None


def macro_areas(
    found: ClassAreas, support: Sequence[int] | NDArray[np.integer], images: int
) -> dict[str, Figure]:
    """Return the means of both areas over the classes that have them."""
    gap = few_of(support, images)
    figures = {}
    for name, samples in (("auc", found.auc), ("average_precision", found.average_precision)):
        values = [row[name].value for row in found.figures if row[name].value is not None]
        value = float(np.mean(np.array(values, np.float64))) if values else None
        missing = None if values else Gap("one class")
        figures[f"{name}_macro"] = drawn(value, mean(samples), images, gap=missing or gap)
    return figures


def rows_of(counts: Counts, whole: Counts, f1: Sequence[float], images: int) -> list[dict[str, Figure]]:
    """Return precision, recall and F1 of each class.

    Args:
        counts: of every draw, `[C, B]`.
        whole: of the images themselves, `[C, 1]`.
        f1: of the images themselves, `[C]`.
        images: how many there are.
    """
    rows = []
    for k, (right, support, named) in enumerate(
        zip(*(side[:, 0].astype(int) for side in whole), strict=True)
    ):
        wrong = support + named - 2 * right
        gap = None
        if not support:
            gap = Gap("no images")
        elif support < bootstrap.LEAST:
            gap = Gap("few images", int(support))
        elif wrong < bootstrap.LEAST:
            gap = Gap("few wrong", int(wrong))
        rows.append(
            {
                "precision": share(int(right), int(named), counts.precision[k], "never named"),
                "recall": share(int(right), int(support), counts.recall[k]),
                "f1": drawn(float(f1[k]) if support else None, counts.f1[k], images, gap=gap),
            }
        )
    return rows
