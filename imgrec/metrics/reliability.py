"""How far a model's probabilities can be believed: bins of sureness against hits, and one figure of them.

All functions take decisions: how sure the model was of each, float `[N]` in 0…1, and whether it came true,
bool `[N]`. Of one class an image that is the probability of the answer and whether it is right; of
several labels every label of every image is a decision.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics.intervals import wilson_interval

BINS = 15
"""Bins of the calibration error, as in Guo et al., 2017 (arXiv 1706.04599)."""
DRAWS, FEWEST_DRAWS = 1000, 100
"""Resamples of an interval; fewer where there are more decisions than `_CELLS` allow."""
_CELLS = 2e7


@dataclass(frozen=True)
class Bin:
    """The decisions of one bin: their bounds `(low, high]`, count, mean sureness, share that came true.

    interval: Wilson's 95 % interval of that share.
    """

    low: float
    high: float
    count: int
    sureness: float
    hits: float
    interval: list[float]


def places(sure: NDArray[np.floating], bins: int = BINS, mass: bool = False) -> NDArray[np.intp]:
    """Return the bin of each decision, `[N]` in 0…bins-1.

    Bins are `(low, high]` of equal width, or, with `mass`, of equal count: the decisions by rising sureness,
    cut into parts whose sizes differ by one at most; equally sure ones may then fall into two bins, so that
    the order of the images decides (Nixon et al., 2019, arXiv 1904.01685, adaptive calibration error).
    """
    if not mass:
        return np.clip(np.ceil(np.asarray(sure, np.float64) * bins).astype(int) - 1, 0, bins - 1)
    found = np.empty(len(sure), np.intp)
    for number, part in enumerate(np.array_split(np.argsort(sure, kind="stable"), bins)):
        found[part] = number
    return found


def error(sure: NDArray[np.floating], hit: NDArray[np.bool_], bins: int = BINS, mass: bool = False) -> float:
    """Return the expected calibration error: 0 is perfect, 1 the worst.

    The mean distance between how sure the model is and how often it is right, over `places`, weighted by
    the decisions in each.
    """
    spot = places(sure, bins, mass)
    gap = np.bincount(spot, weights=hit - np.asarray(sure, np.float64), minlength=bins)
    return float(np.abs(gap).sum() / len(sure))


def table(
    sure: NDArray[np.floating], hit: NDArray[np.bool_], bins: int = BINS, mass: bool = False
) -> list[Bin]:
    """Return the bins that hold decisions, by rising sureness: the reliability diagram as figures."""
    spot, rows = places(sure, bins, mass), []
    for number in np.unique(spot):
        inside = spot == number
        own, count = np.asarray(sure, np.float64)[inside], int(inside.sum())
        low, high = (number / bins, (number + 1) / bins) if not mass else (own.min(), own.max())
        hits = int(np.asarray(hit)[inside].sum())
        rows.append(
            Bin(float(low), float(high), count, float(own.mean()), hits / count, wilson_interval(hits, count))
        )
    return rows


def interval(sure: NDArray[np.floating], hit: NDArray[np.bool_], seed: int = 0) -> list[float]:
    """Return the 95 % interval `[low, high]` of `error`, by the bootstrap over images.

    `sure` and `hit` may be `[N, C]`: the decisions of an image then stay together.
    """
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(_draws(sure)):
        chosen = draw.integers(0, len(sure), len(sure))
        found.append(error(sure[chosen].ravel(), hit[chosen].ravel()))
    low, high = np.quantile(found, (0.025, 0.975))
    return [float(low), float(high)]


def _draws(sure: NDArray[np.floating]) -> int:
    return int(np.clip(_CELLS / sure.size, FEWEST_DRAWS, DRAWS))


def unavoidable(sure: NDArray[np.floating], seed: int = 0) -> tuple[float, float]:
    """Return the `error` that perfect probabilities show on so few images: its mean, and 95 % stay below.

    A bin's share of hits differs from its sureness by chance alone, and the error counts that. Whether each
    decision comes true is drawn by its own probability (consistency resampling: Bröcker and Smith,
    "Increasing the reliability of reliability diagrams", Weather and Forecasting 22, 2007).
    """
    draw, flat = np.random.default_rng(seed), np.asarray(sure, np.float64).ravel()
    found = [error(flat, draw.random(len(flat)) < flat) for _ in range(_draws(sure))]
    return float(np.mean(found)), float(np.quantile(found, 0.95))


def log_losses(
    scores: NDArray[np.floating], truth: NDArray[np.floating], exclusive: bool
) -> NDArray[np.float64]:
    """Return each image's negative log-likelihood in nats, `[N]`; of several labels their mean.

    Probabilities are kept at 1e-12 from 0 and 1.

    Args:
        scores: probabilities `[N, C]`.
        truth: 0 or 1, `[N, C]`.
        exclusive: whether one of the labels holds for each image.
    """
    kept = np.clip(np.asarray(scores, np.float64), 1e-12, 1 - 1e-12)
    if exclusive:
        return np.asarray(-(truth * np.log(kept)).sum(axis=1))
    return np.asarray(-(truth * np.log(kept) + (1 - truth) * np.log1p(-kept)).mean(axis=1))


def briers(scores: NDArray[np.floating], truth: NDArray[np.floating], exclusive: bool) -> NDArray[np.float64]:
    """Return each image's squared distance of probabilities from the truth, `[N]`.

    Summed over classes that exclude each other (0…2; Brier, "Verification of forecasts expressed in terms of
    probability", 1950), else the mean over labels (0…1). Args: as `log_losses`.
    """
    squares = (np.asarray(scores, np.float64) - truth) ** 2
    return np.asarray(squares.sum(axis=1) if exclusive else squares.mean(axis=1))


def mean_interval(values: NDArray[np.floating]) -> list[float]:
    """Return the 95 % interval `[low, high]` of the mean of N ≥ 2 values, by Student's t."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return [float(np.mean(values)) - half, float(np.mean(values)) + half]
