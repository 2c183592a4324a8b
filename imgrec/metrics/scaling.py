"""Logits scaled so that their probabilities come true: fitted on images that the model did not learn from.

Temperature: all logits by one factor, which never changes an answer. Vector: each class's by its own, and
shifted. Both minimise the negative log-likelihood (Guo et al., "On Calibration of Modern Neural Networks",
2017, arXiv 1706.04599).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics.answers import sigmoid, softmax

LIMITS = (0.05, 20.0)
"""Temperatures that are looked for: those beyond make every answer certain, or none."""
_Z95 = 1.959964
FOLDS = 5


@dataclass(frozen=True)
class Fit:
    """Factors and shifts of logits, `[1]` or `[C]`; the shifts of a temperature are 0."""

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]

    def __call__(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return scaled logits, `[N, C]`."""
        return np.asarray(logits, np.float64) * self.factor + self.shift


NOTHING = Fit(np.ones(1), np.zeros(1))


def losses(logits: NDArray[np.floating], truth: NDArray[np.floating], exclusive: bool) -> NDArray[np.float64]:
    """Return each image's negative log-likelihood in nats, `[N]`; of several labels their mean.

    Args:
        logits: `[N, C]`.
        truth: 0 or 1, `[N, C]`.
        exclusive: softmax where one of the labels holds for each image, else a sigmoid each.
    """
    values = np.asarray(logits, np.float64)
    if exclusive:
        shifted = values - values.max(axis=1, keepdims=True)
        return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - (shifted * truth).sum(axis=1))
    return np.asarray(np.logaddexp(0.0, np.where(truth > 0.5, -values, values)).mean(axis=1))


def _minimum(
    loss: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
    start: NDArray[np.float64],
    bounds: Sequence[tuple[float, float]],
) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    tight = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=tight)
    return np.asarray(found.x, np.float64)


def _slopes(logits: NDArray[np.float64], truth: NDArray[np.floating], exclusive: bool) -> NDArray[np.float64]:
    """The gradient of the mean of `losses` by the logits, `[N, C]`."""
    found = (softmax(logits) if exclusive else sigmoid(logits)) - truth
    return np.asarray(found / (len(logits) if exclusive else logits.size))


def temperature(
    logits: NDArray[np.floating], truth: NDArray[np.floating], exclusive: bool
) -> tuple[Fit, list[float]]:
    """Return the best single factor, one over the temperature, and the 95 % interval of the temperature.

    The interval is the likelihood's, by its curvature. Args: as `losses`.
    """
    values = np.asarray(logits, np.float64)

    def loss(log_factor: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        factor = np.exp(log_factor[0])
        slope = (_slopes(factor * values, truth, exclusive) * values).sum() * factor
        return float(losses(factor * values, truth, exclusive).mean()), np.array([slope])

    low, high = -np.log(LIMITS[1]), -np.log(LIMITS[0])
    best = float(_minimum(loss, np.zeros(1), [(low, high)])[0])
    factor = np.exp(best)
    p = softmax(factor * values) if exclusive else sigmoid(factor * values)
    if exclusive:
        curvature = float((p * values**2).sum() - ((p * values).sum(axis=1) ** 2).sum())
    else:
        curvature = float((p * (1 - p) * values**2).sum())
    # Of the logarithm, so that both ends stay above 0.
    half = _Z95 / max(factor * np.sqrt(curvature), 1e-12)
    ends = [float(np.exp(np.clip(-best + sign * half, -50, 50))) for sign in (-1, 1)]
    return Fit(np.array([factor]), np.zeros(1)), ends


def vector(logits: NDArray[np.floating], truth: NDArray[np.floating], exclusive: bool) -> Fit:
    """Return the best factor and shift of each class. Args: as `losses`."""
    values = np.asarray(logits, np.float64)
    size = values.shape[1]

    def loss(both: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled = values * both[:size] + both[size:]
        slopes = _slopes(scaled, truth, exclusive)
        gradient = np.r_[(slopes * values).sum(axis=0), slopes.sum(axis=0)]
        return float(losses(scaled, truth, exclusive).mean()), gradient

    start = temperature(values, truth, exclusive)[0].factor
    bounds = [(1e-3, 1 / LIMITS[0])] * size + [(-50.0, 50.0)] * size
    found = _minimum(loss, np.r_[np.full(size, start[0]), np.zeros(size)], bounds)
    # A softmax does not see what is added to all of them.
    shift = found[size:] - found[size:].mean() if exclusive else found[size:]
    return Fit(found[:size], shift)


def gain(
    logits: NDArray[np.floating], truth: NDArray[np.floating], exclusive: bool, seed: int
) -> tuple[float, float]:
    """Return by how many nats an image vector scaling beats temperature, and that figure's standard error.

    Cross-validated: `FOLDS` parts of the images, each judged by what was fitted on the others.
    Args: as `losses`; `seed` divides.
    """
    difference = np.zeros(len(logits))
    parts = np.array_split(np.random.default_rng(seed).permutation(len(logits)), FOLDS)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(logits)), part)
        one = temperature(logits[rest], truth[rest], exclusive)[0]
        many = vector(logits[rest], truth[rest], exclusive)
        held = truth[part]
        difference[part] = losses(one(logits[part]), held, exclusive) - losses(
            many(logits[part]), held, exclusive
        )
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))
