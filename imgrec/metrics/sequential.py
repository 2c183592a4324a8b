"""A mean that may be looked at after every observation: bets against each value that it could have.

A test for a number of observations fixed beforehand loses its promise when it is looked at again and again.
A wealth that is bet on each observation does not: if the mean is what the bet is against, the wealth exceeds
1/α at any time with probability α at most (Ville's inequality).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

EFFECTS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""How far the mean may be from the value that is bet against; a share of the wealth is on each."""
LEAST_VARIANCE = 1e-3
BOLDEST = 0.9
"""The part of the wealth that a single observation can take, at most."""
HUGE = 200.0
"""Logarithm above which a wealth need not grow on."""


@dataclass
class BettingMean:
    """The mean of numbers between `low` and `high`, by a confidence sequence.

    Of each value m on a grid, wealth Π (1 + λ (x − m)) is bet on the mean being higher, and with −λ on its
    being lower, where λ, chosen before x is seen, is the effect bet on over the variance so far; the mean of
    the wealth over `EFFECTS` counts. Values whose wealth exceeds 2/α are left out: what is left holds the
    mean of all observations' (conditional) means, at every time at once, with probability 1 − α. Numbers
    may depend on those before them, and their means may change if each lies on one side of m.

    Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2023
    (arXiv 2010.09686), theorem 1, with a fixed mixture of bets as in its section 5 in place of a grid's
    hedge.

    low, high: bounds of the mean.
    reach: how far an observation and a mean can be apart at most; by default high − low.
    alpha: chance that the interval ever misses the mean.
    points: values of the grid.
    """

    low: float
    high: float
    reach: float = 0.0
    alpha: float = 0.05
    points: int = 801
    count: int = field(default=0, init=False)
    total: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Lay out the grid; the wealth is 1 everywhere."""
        self.grid: NDArray[np.float64] = np.linspace(self.low, self.high, self.points)
        self.reach = self.reach or self.high - self.low
        self._squares = 0.0
        self._above = np.zeros((len(EFFECTS), self.points))
        self._below = np.zeros((len(EFFECTS), self.points))

    @property
    def mean(self) -> float:
        """Of what was seen; NaN before anything was."""
        return self.total / self.count if self.count else float("nan")

    def update(self, x: float) -> None:
        """Take one observation, no further than `reach` from `low` and `high`."""
        # The guess before the first: a quarter of the squared range, the largest variance there is.
        variance = (self._squares + self.reach**2 / 4) / (self.count + 1)
        effects = np.array(EFFECTS)[:, None] * (self.high - self.low) / 2
        bets = effects / max(variance, LEAST_VARIANCE * self.reach**2)
        bets = np.minimum(bets, BOLDEST / self.reach)
        step = x - self.grid
        self._above = np.minimum(self._above + np.log1p(bets * step), HUGE)
        self._below = np.minimum(self._below + np.log1p(-bets * step), HUGE)
        before = self.mean if self.count else (self.low + self.high) / 2
        self.count += 1
        self.total += x
        self._squares += (x - before) * (x - self.mean)

    def interval(self) -> tuple[float, float]:
        """Return the values that are not ruled out, from the lowest to the highest.

        The wealth bet on a higher mean falls with the value it is bet against, and the other rises: each
        bound is the grid's next value outside, so that the grid's coarseness makes the interval no shorter.
        """
        enough = np.log(2 / self.alpha)
        over = np.flatnonzero(_mixed(self._above) >= enough)
        under = np.flatnonzero(_mixed(self._below) >= enough)
        low = self.grid[over[-1]] if len(over) else self.low
        high = self.grid[under[0]] if len(under) else self.high
        return float(low), float(high)

    def evidence(self, value: float) -> tuple[float, float]:
        """Return the wealth bet on the mean being above a value, and below it: 2/α is enough for either.

        Of a value between two of the grid the smaller wealth counts.
        """
        right = int(np.clip(np.searchsorted(self.grid, value - 1e-12), 0, self.points - 1))
        exact = abs(self.grid[right] - value) < 1e-9
        left = right if exact else max(right - 1, 0)
        above, below = _mixed(self._above[:, [right]]), _mixed(self._below[:, [left]])
        return float(np.exp(above[0])), float(np.exp(below[0]))


def _mixed(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the mean wealth over the effects, `[effects, N]` to `[N]`."""
    largest = logarithms.max(axis=0)
    return np.asarray(largest + np.log(np.exp(logarithms - largest).mean(axis=0)))


@dataclass
class SplitDifference:
    """How much more often B is right than A, where each request goes to one of them by chance.

    Of a request with outcome y the number (y − p)/w, if B had it, or −(y − p)/(1 − w), if A had it, has the
    difference of the two rates as its mean, whatever the request is and whatever p, the rate of both so far,
    is (inverse propensity weighting: Waudby-Smith et al., "Anytime-valid off-policy inference for contextual
    bandits", 2022, arXiv 2210.10768, section 2). Rates may drift, requests may be of any kind: all that is
    relied on is that `share` is B's chance of each, independent of what came before.

    share: of the requests that B gets, above 0 and below 1.
    """

    share: float
    alpha: float = 0.05
    points: int = 401

    def __post_init__(self) -> None:
        """Begin with no request."""
        reach = 1 + 1 / min(self.share, 1 - self.share)
        self.difference = BettingMean(-1, 1, reach, self.alpha, self.points)
        self.counts, self.hits = [0, 0], [0.0, 0.0]

    def update(self, second: bool, outcome: float) -> None:
        """Take one outcome, 0…1, of A, or of B where `second`."""
        p = sum(self.hits) / sum(self.counts) if sum(self.counts) else 0.5
        weight = 1 / self.share if second else -1 / (1 - self.share)
        self.difference.update((outcome - p) * weight)
        self.counts[second] += 1
        self.hits[second] += outcome
