"""Prediction sets that hold the label for a chosen share of images: split conformal prediction.

Images that the model did not learn from are ranked by a score, how badly the label fits what the model says;
the set of a new image has the labels that fit no worse than the chosen share of them did. Whatever the model,
the label of an image of the same kind is then in its set with the chosen probability at least (Vovk,
Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; Lei et al., 2018, arXiv 1604.04173).

NumPy at the top, since sets are made where files are served.
"""

import math
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def lac(scores: Floats) -> NDArray[np.float64]:
    """Return one less each probability, `[N, C]`: the sets that are smallest on average.

    Source: Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers", 2019 (arXiv 1609.00451).
    """
    return 1.0 - np.asarray(scores, np.float64)


def aps_randomised(scores: Floats) -> NDArray[np.float64]:
    """Return the probability of all classes that are more probable, and a share u of its own, `[N, C]`.

    Sets are larger than `lac`'s where an image is hard, smaller where it is easy. u is uniform in 0…1 and
    depends on the image's scores alone, so that an image has one answer ever after. Of equally probable
    classes the first counts as the more probable. Source: Romano, Sesia and Candès, "Classification with
    valid and adaptive coverage", 2020 (arXiv 2006.02544).
    """
    return _cumulated(scores, uniform(scores))


def aps(scores: Floats) -> NDArray[np.float64]:
    """As `aps_randomised` with u = 0: a class on the edge is always in the set, and chance decides nothing.

    By the same threshold, so that sets are larger, and hold the label more often, than was promised.
    """
    return _cumulated(scores, np.zeros(len(scores)))


def _cumulated(scores: Floats, share: NDArray[np.floating]) -> NDArray[np.float64]:
    whole = np.asarray(scores, np.float64)
    order = np.argsort(-whole, axis=1, kind="stable")
    ranked = np.take_along_axis(whole, order, axis=1)
    summed = ranked.cumsum(axis=1) - ranked + share[:, None] * ranked
    found = np.empty_like(summed)
    np.put_along_axis(found, order, summed, axis=1)
    return found


def uniform(scores: Floats) -> NDArray[np.float64]:
    """Return a number in 0…1 for each row of scores, float64 `[N]`: equal rows have equal ones."""
    rows = np.ascontiguousarray(scores, np.float32)
    # Multiplied by an odd number, as CRCs of similar rows differ in few bits.
    mixed = [(zlib.crc32(row.tobytes()) * 0x9E3779B1) & 0xFFFFFFFF for row in rows]
    return (np.asarray(mixed, np.float64) + 0.5) / 2.0**32


SCORES: dict[str, Callable[[Floats], NDArray[np.float64]]] = {
    "lac": lac,
    "aps": aps,
    "aps_randomised": aps_randomised,
}
"""How badly each class fits, from probabilities `[N, C]`, by the name of the method."""


def misfit(scores: Floats, labels: NDArray[np.integer], method: str) -> NDArray[np.float64]:
    """Return how badly the label of each image fits, `[N]`: what `threshold` is taken from."""
    found = SCORES["aps_randomised" if method == "aps" else method](scores)
    return found[np.arange(len(labels)), labels]


def least(coverage: float) -> int:
    """Return the fewest images that can promise a coverage in 0…1: with fewer, sets have every class."""
    return max(1, math.ceil(coverage / (1 - coverage) - 1e-9))


def threshold(misfits: Floats, coverage: float) -> float:
    """Return the score up to which classes are in a set: the ⌈(n + 1) · coverage⌉-th smallest of `misfits`.

    Args:
        misfits: of the label of each of n images, `[n]`.
        coverage: the share of images that is promised, in 0…1.

    Raises:
        ValueError: fewer than `least` images.
    """
    rank = _rank(len(misfits), coverage)
    if rank > len(misfits):
        raise ValueError(f"{len(misfits)} images cannot promise {coverage:g}: expected {least(coverage)}")
    return float(np.sort(np.asarray(misfits, np.float64))[rank - 1])


def _rank(images: int, coverage: float) -> int:
    return math.ceil((images + 1) * coverage - 1e-9)


def members(scores: Floats, method: str, limit: float) -> NDArray[np.bool_]:
    """Return which classes are in the set of each image, bool `[N, C]`: those that fit, and the likeliest.

    The latter, the model's own answer, is in the set even where it fits no better than the others: such an
    image is unlike those that the threshold is from, and a set without the answer beside it helps no one. It
    can only make coverage higher.

    Args:
        scores: probabilities `[N, C]`.
        method: a name in `SCORES`.
        limit: what `threshold` returned.
    """
    inside = SCORES[method](scores) <= limit
    inside[np.arange(len(scores)), np.argmax(scores, axis=1)] = True
    return inside


def band(images: int, calibration_images: int, coverage: float) -> list[float]:
    """Return within which coverage `[low, high]` 95 % of test splits lie, before the answer joins its set.

    Coverage on `images` new images, given a threshold from `calibration_images`, is beta-binomial (Vovk,
    "Conditional validity of inductive conformal predictors", 2012; Angelopoulos and Bates, 2021, arXiv
    2107.07511, section 3.2), as long as scores do not tie.
    """
    from scipy.stats import betabinom

    rank = _rank(calibration_images, coverage)
    found = betabinom(images, rank, calibration_images + 1 - rank).ppf([0.025, 0.975]) / images
    return [float(found[0]), float(found[1])]
