"""Whether one of two that answered for the same images is better, or the images cannot tell."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.metrics.intervals import difference_interval

SIGNIFICANT = 0.05
"""A p value below it is called a difference."""


@dataclass(frozen=True)
class Paired:
    """What the same images say of a first and a second.

    only_first, only_second: images that it alone gets right.
    images: all of them.
    difference: share right of the first less that of the second, -1…1.
    interval_95: `[low, high]` of the difference, `intervals.difference_interval`.
    p_value: `mcnemar` of the two counts.
    """

    only_first: int
    only_second: int
    images: int
    difference: float
    interval_95: list[float]
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the images show that one is better: p below 0.05."""
        return self.p_value < SIGNIFICANT

    def record(self) -> dict[str, Any]:
        """Return every field, ready for JSON."""
        return asdict(self)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p value of McNemar's test, in 0…1.

    The probability, if both were equally good, that the images on which one alone is right are split at
    least as unevenly: a binomial of ½ (McNemar, Psychometrika 12, 1947; exact form). Without such images 1.
    """
    from scipy.stats import binomtest

    count = only_first + only_second
    return float(binomtest(only_first, count, 0.5).pvalue) if count else 1.0


def from_counts(only_first: int, only_second: int, images: int) -> Paired:
    """Return what the counts say; see `Paired`.

    Raises:
        InputError: counts that are negative or more than all images, or no images.
    """
    interval = difference_interval(only_first, only_second, images)
    difference = (only_first - only_second) / images
    return Paired(only_first, only_second, images, difference, interval, mcnemar(only_first, only_second))


def from_answers(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
    """Return what two rows of right (True) and wrong answers to the same images say, bool `[N]` each.

    Raises:
        InputError: rows of different length, or empty ones.
    """
    if np.shape(first) != np.shape(second):
        raise InputError(f"answers to {len(first)} and to {len(second)} images: expected the same images")
    one, other = np.asarray(first, bool), np.asarray(second, bool)
    return from_counts(int((one & ~other).sum()), int((other & ~one).sum()), len(one))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values that may be held against 0.05 one by one, in their order, at most 1.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    raised, largest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        raised[index] = largest
    return raised
