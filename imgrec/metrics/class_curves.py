"""ROC and precision-recall curves of each class against all others, and their mean with its band."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics import bootstrap
from imgrec.metrics.classwise import one_sided
from imgrec.metrics.figure import Gap
from imgrec.metrics.ranking import GRID, curves

_MOST_LINES = 100


@dataclass(frozen=True)
class Drawn:
    """Curves over `GRID` of one kind.

    classes: place of a class → its curve `[101]`; those with too few images have none.
    mean: of these curves, `[101]`.
    band_95: the 2.5th and 97.5th percentile of the mean at each place, `[2, 101]`; None where all draws are
        equal.
    """

    classes: dict[int, NDArray[np.float64]]
    mean: NDArray[np.float64]
    band_95: NDArray[np.float64] | None

    def record(self, labels: tuple[str, ...]) -> dict[str, Any]:
        """Return it ready for JSON, each number to four places; of more than 100 classes the mean alone."""
        band = None if self.band_95 is None else _rounded(self.band_95)
        few = len(labels) <= _MOST_LINES
        rows = {labels[k]: _rounded(line) for k, line in self.classes.items()} if few else {}
        return {"mean": _rounded(self.mean), "mean_band_95": band, "classes": rows}


@dataclass(frozen=True)
class ClassCurves:
    """Both kinds, over `ranking.GRID`.

    gaps: place of a class → why it has no curve.
    """

    roc: Drawn
    precision: Drawn
    gaps: dict[int, Gap]
    draws: int


def class_curves(scores: NDArray[np.floating], marks: NDArray[np.bool_]) -> ClassCurves | None:
    """Return the curves of classes that have `bootstrap.LEAST` images and as many others; None without any.

    Args:
        scores: `[N, C]`, high for the class.
        marks: bool `[N, C]`, what each image is of.
    """
    images, size = scores.shape
    weights = bootstrap.draws(images, size, most=bootstrap.FEWEST)
    whole = np.ones((images, 1), np.float32)
    kinds: tuple[dict[int, NDArray[np.float64]], dict[int, NDArray[np.float64]]] = ({}, {})
    sums, counts = np.zeros((2, 2, len(GRID), weights.shape[1]))
    gaps = {}
    for k in range(size):
        gap = one_sided(int(marks[:, k].sum()), images)
        if gap is not None:
            gaps[k] = gap
            continue
        own, drawn = (curves(scores[:, k], marks[:, k], each) for each in (whole, weights))
        for kind, (line, samples) in enumerate(zip(own, drawn, strict=True)):
            kinds[kind][k] = line[:, 0]
            there = np.isfinite(samples)
            sums[kind] += np.where(there, samples, 0)
            counts[kind] += there
    if not kinds[0]:
        return None
    roc, precision = (
        _drawn(lines, total, count) for lines, total, count in zip(kinds, sums, counts, strict=True)
    )
    return ClassCurves(roc, precision, gaps, weights.shape[1])


def _drawn(
    lines: dict[int, NDArray[np.float64]], total: NDArray[np.float64], count: NDArray[np.float64]
) -> Drawn:
    with np.errstate(invalid="ignore"):
        samples = total / count
    band = np.nanpercentile(samples, (2.5, 97.5), axis=1)
    return Drawn(lines, np.mean(list(lines.values()), axis=0), band if np.ptp(band, axis=0).any() else None)


def _rounded(values: NDArray[np.float64]) -> Any:
    return np.round(values, 4).tolist()
