"""Bets against "nothing has changed": wealth that grows only where that is wrong.

Under the hypothesis that images come in no particular order, each conformal p value is uniform on 0…1 and
independent of those before it, whatever the images are (Vovk, Gammerman and Shafer, "Algorithmic learning in
a random world", 2005, theorem 8.2), so that a bet whose mean over 0…1 is 1 is fair, and the wealth of a
series of bets exceeds 1/α at any time with probability α at most (Ville's inequality).
"""

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 1e-6
POWERS = (0.3, 0.6)
SLOPES = (0.9, 1.8)
RATES = (0.1, 0.5, 2.0, 4.0)
"""A class that becomes so many times as frequent is bet on."""


class Bag:
    """Numbers seen so far, and the rank of the next one among them.

    Smoothed conformal p values: equal numbers are put into an order by chance. Each number joins the bag, so
    that the order of all is what is tested: with a fixed bag, its own chance would be taken for a change.
    """

    def __init__(self, values: Sequence[float] | NDArray[np.floating]) -> None:
        """Start with the reference, `[N]`."""
        self._sorted = sorted(map(float, values))

    def p_value(self, value: float, chance: float) -> float:
        """Return the p value of `value`, low where it is high, and put it into the bag; `chance` in 0…1."""
        place = bisect.bisect_right(self._sorted, value)
        equal = place - bisect.bisect_left(self._sorted, value, 0, place) + 1
        above = len(self._sorted) - place
        self._sorted.insert(place, value)
        return (above + chance * equal) / len(self._sorted)


def of_numbers(p: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """Return what each bet on a number pays: on higher ones, on lower ones, a little or much so, `[..., 8]`.

    Power bets ε p^(ε-1) (Vovk, Nouretdinov and Gammerman, "Testing exchangeability on-line", 2003) for large
    changes, and straight lines for small ones; their mean over p in 0…1 is 1. `p` has any shape, `[...]`.
    """
    centred = np.asarray(p) - 0.5
    sides = np.maximum((np.asarray(p), 1 - np.asarray(p)), _SMALLEST)
    powers = [epsilon * side ** (epsilon - 1) for epsilon in POWERS for side in sides]
    lines = [1 + slope * sign * centred for slope in SLOPES for sign in (1, -1)]
    return np.stack([*powers, *lines], axis=-1)


class Classes:
    """As `Bag`, of answers: for each class the p value of "it is this one" as a number, 1 or 0; and its bets.

    A p value lies below the class's rate where it is that class, nearly; each bet pays one factor there and
    another above, with 1 as their mean.
    """

    def __init__(self, labels: NDArray[np.integer], classes: int) -> None:
        """Start with the answers of the reference, `[N]`, N ≥ 1."""
        self._counts, self._total = np.bincount(labels, minlength=classes), len(labels)
        self._rates = np.clip(self._counts / self._total, 1e-4, 1 - 1e-4)[:, None]
        self._inside = np.minimum(RATES, 0.9 / self._rates)
        self._outside = (1 - self._inside * self._rates) / (1 - self._rates)

    def p_values(self, labels: NDArray[np.integer], chances: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the p value of each class after each of N answers, `[N, C]`, and put the answers in.

        Args:
            labels: the answers, `[N]`.
            chances: in 0…1, `[N, C]`.
        """
        is_it = np.arange(len(self._counts)) == np.asarray(labels)[:, None]
        counts = self._counts + np.cumsum(is_it, axis=0)
        totals = self._total + np.arange(1, len(counts) + 1)[:, None]
        self._counts, self._total = counts[-1], int(totals[-1, 0])
        ranks = np.where(is_it, chances * counts, counts + chances * (totals - counts))
        return np.asarray(ranks / totals)

    def pay(self, p_values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what each bet on each class pays, `[N, C, 4]`, for p values `[N, C]`."""
        return np.asarray(np.where(p_values[..., None] < self._rates, self._inside, self._outside))


class Wealth:
    """The wealth of some bets, spread evenly over them and over when a change may begin.

    Of every 1 a part 1/horizon is laid on each request as the first that is changed, the rest waits: the sum
    is a fair game, and what is laid on the right moment grows from there on. (The mixture over change points
    of a Shiryaev–Roberts procedure, as e-process: Shin, Ramdas and Rinaldo, "E-detectors", 2022, arXiv
    2203.03532, section 2; with weights that sum to 1 it bounds the chance of any false alarm.)
    """

    def __init__(self, shape: tuple[int, ...], horizon: int) -> None:
        """Bets of that shape, those on one game in its last axis, over `horizon` requests."""
        self._laid, self._part, self._left = np.zeros(shape), 1 / horizon, horizon

    def update(self, factors: NDArray[np.floating]) -> None:
        """Let each bet pay its factor after a part more was laid on it."""
        laid = self._laid
        if self._left:
            laid = laid + self._part
            self._left -= 1
        # Far above any threshold it need not grow on, and must not overflow.
        self._laid = np.minimum(laid * factors, 1e100)

    def run(self, factors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Update with each of N factors, `[N, ...]`; return the wealth of each bet after each, `[N, ...]`."""
        after = np.empty(factors.shape)
        for step, factor in enumerate(factors):
            self.update(factor)
            after[step] = self.each()
        return after

    def each(self) -> NDArray[np.float64]:
        """Return the wealth of each bet as if all had been laid on it; 1 at first."""
        return self._laid + self._left * self._part

    def whole(self) -> NDArray[np.float64]:
        """Return the wealth of each game: the mean over its bets."""
        return np.asarray(self.each().mean(axis=-1))
