"""How sure any figure is: the images are drawn anew, many times, and the figure is looked at each time.

A draw is a column of weights, how often each image is in it, so that a figure of all draws is one product of
matrices and no image is copied. All figures of one split are of the same draws.
"""

import numpy as np
from numpy.typing import NDArray

MOST, FEWEST = 1000, 200
"""Draws. The interval hangs on their standard deviation alone, which 200 tell to within 5 %, 1000 to 2 %."""
LEAST = 5
"""Fewer images of a kind (of a class, wrong ones, right ones) are too few for an interval by drawing: draws
know what these few are like, and the next one may be like none of them."""
_CELLS = 2e9
_WEIGHTS = 4e7
_CHUNK = 64


def draws(images: int, outputs: int = 1, seed: int = 0, most: int = MOST) -> NDArray[np.float32]:
    """Return how often each of N images is in each of B draws with replacement, float32 `[N, B]`.

    Columns sum to N. B falls from `most` to `FEWEST` as images times outputs grow, so that time and memory
    stay bounded. Equal arguments give equal draws. Source: Efron, "Bootstrap methods: another look at the
    jackknife", Annals of Statistics 7, 1979.
    """
    many = int(max(FEWEST, min(most, _CELLS / (images * outputs), _WEIGHTS / images)))
    random = np.random.default_rng(seed)
    weights = np.empty((images, many), np.float32)
    for start in range(0, many, _CHUNK):
        stop = min(start + _CHUNK, many)
        drawn = random.integers(0, images, (stop - start, images))
        drawn += images * np.arange(stop - start)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=images * (stop - start))
        weights[:, start:stop] = counts.reshape(stop - start, images).T
    return weights


def means(
    values: NDArray[np.floating] | NDArray[np.bool_], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the mean of `values` `[N]` in each draw, float64 `[B]`."""
    return np.asarray(np.asarray(values, np.float64) @ weights / weights.sum(axis=0), np.float64)


def interval(
    value: float,
    samples: NDArray[np.floating],
    images: int,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> list[float] | None:
    """Return the 95 % interval `[low, high]` of a figure, or None where its draws show no spread.

    The figure ± t deviations of its draws, on the scale of its log-odds between `bounds` (of its logarithm
    where there is no upper one), which keeps it inside them; t is Student's of N - 1 degrees of freedom.
    Percentiles of the draws are too narrow for few images and say nothing near a bound: of an AUC of .99 on
    60 images they hold the truth 86 % of the time, these 95 % or more. Source of the scale: the delta method
    on the logit, as in Pepe, "The Statistical Evaluation of Medical Tests", 2003, section 5.2.

    Args:
        value: the figure on the images themselves.
        samples: the same of each draw, `[B]`; a draw in which it is not defined is NaN.
        images: N.
        bounds: the least and the most that the figure can be.
    """
    from scipy.stats import t

    held = samples[np.isfinite(samples)]
    low, high = bounds
    if images < 2 or len(held) < len(samples) / 2 or not low < value < high:
        return None
    deviation = float(held.std())
    if deviation < 1e-12:
        return None
    factor = float(t.ppf(0.975, images - 1))
    if np.isinf(high):
        half = factor * deviation / (value - low)
        return [float(low + (value - low) * np.exp(sign * half)) for sign in (-1, 1)]
    share = (value - low) / (high - low)
    half = factor * deviation / (high - low) / (share * (1 - share))
    ends = np.log(share / (1 - share)) + half * np.array([-1.0, 1.0])
    return [float(end) for end in low + (high - low) * (0.5 + 0.5 * np.tanh(ends / 2))]


def percentiles(samples: NDArray[np.floating]) -> list[float]:
    """Return the 2.5th and 97.5th percentile of the draws that are numbers."""
    return [float(end) for end in np.nanpercentile(samples, (2.5, 97.5))]
