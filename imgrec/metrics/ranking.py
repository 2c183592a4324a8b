"""How well scores put images of a class before others: areas under curves, and the curves, in each draw."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

GRID = np.linspace(0.0, 1.0, 101)
"""Where curves are told: false positive rates of a ROC curve, recalls of a precision-recall curve."""
_THRESHOLDS = 200


class Areas(NamedTuple):
    """Areas under the ROC curve and, as a step function, the precision-recall curve, float64 `[B]` each."""

    auc: NDArray[np.float64]
    average_precision: NDArray[np.float64]


def areas(scores: NDArray[np.floating], positive: NDArray[np.bool_], weights: NDArray[np.floating]) -> Areas:
    """Return both areas for each column of weights; NaN where one holds no image of the class, or only such.

    Equal to scikit-learn's `roc_auc_score` and `average_precision_score` with `sample_weight`, all columns at
    once: the images between two neighbouring positives are added up first, as only their number matters.

    Args:
        scores: `[N]`, high for the class; equal ones count half in the ROC curve.
        positive: `[N]`, which images are of the class.
        weights: `[N, B]`, each image's.
    """
    levels, place = np.unique(scores[positive], return_inverse=True)
    count = len(levels)
    own = _summed(place, np.flatnonzero(positive), count, weights)
    others = np.flatnonzero(~positive)
    spot = np.searchsorted(levels, scores[others])
    tied = (spot < count) & (levels[np.minimum(spot, count - 1)] == scores[others])
    between = np.cumsum(_summed(2 * spot + tied, others, 2 * count + 1, weights), axis=0)
    below, upto, total = between[0:-1:2], between[1::2], between[-1]
    held = own.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = (own * (below + upto)).sum(axis=0, dtype=np.float64) / 2 / (held * total)
        found = np.cumsum(own[::-1], axis=0)[::-1]
        precision = np.nan_to_num(found / (found + total - below))
        average = (own * precision).sum(axis=0, dtype=np.float64) / held
    nothing = (held == 0) | (total == 0)
    return Areas(np.where(nothing, np.nan, auc), np.where(held == 0, np.nan, average))


def _summed(
    rows: NDArray[np.integer], columns: NDArray[np.integer], count: int, weights: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the weights of images `columns` added up by `rows`, `[count, B]`; whole numbers, so exact."""
    ones = np.ones(len(rows), np.float32)
    return np.asarray(sparse.csr_matrix((ones, (rows, columns)), shape=(count, len(weights))) @ weights)


class Curves(NamedTuple):
    """Curves of one class over `GRID`, `[101, B]` each: true positive rate by false, precision by recall."""

    roc: NDArray[np.float64]
    precision: NDArray[np.float64]


def curves(
    scores: NDArray[np.floating], positive: NDArray[np.bool_], weights: NDArray[np.floating]
) -> Curves:
    """Return both curves for each column of weights, by up to 200 scores of each kind; arguments as `areas`.

    Between thresholds the ROC curve is a straight line, which guessing between them reaches; precision is
    that of the highest threshold with at least the recall. NaN where a column has no image of the class, or
    only such.
    """
    levels = np.unique(np.concatenate([_thinned(scores[positive]), _thinned(scores[~positive])]))
    spot = np.searchsorted(levels, scores, side="right")  # how many thresholds an image passes
    mine, rest = (
        np.cumsum(_summed(spot[some], some, len(levels) + 1, weights)[::-1], axis=0)
        for some in (np.flatnonzero(positive), np.flatnonzero(~positive))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        hits, alarms = mine / mine[-1], rest / rest[-1]
        precision = mine / (mine + rest)
    roc, shares = np.full((2, len(GRID), weights.shape[1]), np.nan)
    for column in range(weights.shape[1]):
        if mine[-1, column] and rest[-1, column]:
            across, up = np.append(0.0, alarms[:, column]), np.append(0.0, hits[:, column])
            roc[:, column] = np.interp(GRID, across, up)  # where it is steep, the upper end
            at = np.searchsorted(hits[:-1, column], GRID - 1e-9)
            at = np.minimum(np.maximum(at, np.argmax(mine[:, column] > 0)), len(levels) - 1)
            shares[:, column] = precision[at, column]
    return Curves(roc, shares)


def _thinned(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the distinct scores, or where they are many some of them, the outermost included."""
    levels = np.unique(scores)
    if len(levels) <= _THRESHOLDS:
        return levels
    return np.quantile(levels, np.linspace(0, 1, _THRESHOLDS), method="nearest")
