"""Answers withheld where the model is unsure: what is right among the rest, and thresholds that promise it.

Risk is the share of wrong answers among those that are given, coverage the share of images that get one.
"""

import math

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics.intervals import CONFIDENCE

START = 3
"""So many times the images that a promise needs without a mistake, are the first that it is tried on."""


def curve(
    sure: NDArray[np.floating], hit: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coverage and risk, `[N]` each, of the surest image alone, the two surest, … all of them.

    Of equally sure images the mean over their orders, so that the order of the data does not matter.
    """
    order = np.argsort(-np.asarray(sure, np.float64), kind="stable")
    ranked, wrong = np.asarray(sure, np.float64)[order], (~np.asarray(hit, bool))[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    sizes = np.diff(np.r_[starts, len(ranked)])
    even = np.repeat(np.add.reduceat(wrong, starts) / sizes, sizes)
    count = np.arange(1, len(ranked) + 1)
    return count / len(ranked), even.cumsum() / count


def area(sure: NDArray[np.floating], hit: NDArray[np.bool_]) -> float:
    """Return the area under the risk-coverage curve, the mean risk over all coverages: 0 is the best.

    Source: Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers",
    2019 (arXiv 1805.08206).
    """
    return float(curve(sure, hit)[1].mean())


def highest_risk(wrong: int, given: int, confidence: float = CONFIDENCE) -> float:
    """Return the risk that is not exceeded, with that confidence, where `wrong` of `given` were wrong.

    The one-sided bound of Clopper and Pearson (Biometrika 26, 1934).
    """
    from scipy.stats import beta

    return 1.0 if wrong >= given else float(beta.ppf(confidence, wrong + 1, given - wrong))


def least(risk: float, confidence: float = CONFIDENCE) -> int:
    """Return how many answers without one mistake show that the risk is no higher."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-risk) - 1e-9)


def for_risk(
    sure: NDArray[np.floating],
    hit: NDArray[np.bool_],
    grid: NDArray[np.floating],
    risk: float,
    confidence: float = CONFIDENCE,
) -> float | None:
    """Return the lowest threshold of `grid` whose answers are shown to be wrong no more often than `risk`.

    Thresholds are tested one after another from the highest, each by the bound of Clopper and Pearson, up to
    the first that fails: the risk of the last that held is then at most `risk` with the given confidence,
    without a correction for their number (fixed-sequence testing: Angelopoulos et al., "Learn then test",
    2021, arXiv 2110.01052). It begins where enough images are left for the test to hold.

    Args:
        sure: how sure the model was of the answers, `[N]`.
        hit: whether they are right, `[N]`.
        grid: thresholds that do not come from these images.
        risk: in 0…1.
        confidence: of the promise, in 0…1.

    Returns:
        The threshold, or None where the images show none to hold.
    """
    enough, found = START * least(risk, confidence), None
    for limit in np.unique(grid)[::-1]:
        given = sure >= limit
        if int(given.sum()) < min(enough, len(sure)):
            continue
        if highest_risk(int((given & ~hit).sum()), int(given.sum()), confidence) > risk:
            break
        found = float(limit)
    return found


def for_coverage(sure: NDArray[np.floating], coverage: float, confidence: float = CONFIDENCE) -> float | None:
    """Return the highest threshold that a share `coverage` of new images reaches, with the given confidence.

    The k-th smallest of `sure` has at most a share q of new images below it with the probability that a
    binomial of N and q is k or more: a tolerance bound (Wilks, "Determination of sample sizes for setting
    tolerance limits", 1941).

    Returns:
        The threshold, or None where even the least sure image promises less.
    """
    from scipy.stats import binom

    # P(Binomial(N, q) ≥ k) ≥ confidence ⇔ no more than q below it.
    rank = int(binom.ppf(1 - confidence, len(sure), 1 - coverage))
    while rank > 0 and binom.sf(rank - 1, len(sure), 1 - coverage) < confidence:
        rank -= 1
    return float(np.sort(sure)[rank - 1]) if rank else None
