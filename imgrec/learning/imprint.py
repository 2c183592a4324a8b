"""Rows of a head for classes that it never learned, from a few pictures each and without training.

What a row looks along is found in closed form, from the pictures' features:

- one picture: its normalised features (Qi, Brown and Lowe, "Low-shot learning with imprinted weights", 2018,
  arXiv 1712.07136, equations 3 and 4);
- two or more: the linear discriminant Σ⁻¹ (μ − μ̄), Σ being the covariance that the known classes share, and
  μ̄ the mean of theirs (Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2009,
  equation 4.10). What all images vary in is no reason to take one for a new class.

Then a scale and an offset a row let it compete fairly with the rows that are there: those of the least
cross-entropy, every class counting alike, old or new. A picture is put to the row of its class as the *other*
pictures of it make that, for its own tells nothing of pictures to come.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from imgrec.learning.probe import Head
from imgrec.metrics.scaling import temperature
from imgrec.unknown.gaussians import Gaussian

PULL = 0.01
"""Weight of the squared logarithm of a scale: it decides where pictures are too few to."""
Array = NDArray[np.float64]
Row = tuple[Array, float]


@dataclass(frozen=True)
class Known:
    """What the head knows already.

    head: of C classes.
    within: a mean for each of them, and the covariance that they share, of features `[D]`.
    features: of N images of theirs, `[N, D]`.
    labels: of these, `[N]`, 0 … C - 1.
    factor: what logits are multiplied by to be probabilities' logarithms, one over the temperature: a network
        that is too cautious would give new classes too much, and one that is too sure too little.
    """

    head: Head
    within: Gaussian
    features: NDArray[np.floating]
    labels: NDArray[np.integer]
    factor: float = 1.0

    def by_temperature(self) -> float:
        """Return the factor of the least cross-entropy on these images, which the network has not learned."""
        truth = np.eye(len(self.head.bias))[self.labels]
        found, _ = temperature(
            self.head.outputs(np.asarray(self.features, np.float64)), truth, exclusive=True
        )
        return float(found.factor[0])


@dataclass(frozen=True)
class Imprinted:
    """Rows for K classes more.

    head: of C + K classes; the first C rows are those that were there.
    right: for each new class how many of its pictures the row of the others answers for rightly, among all
        classes; None of a class with one picture. Scale and offset have seen them all: a little too good.
    """

    head: Head
    right: tuple[int | None, ...]


def imprint(known: Known, features: NDArray[np.floating], labels: NDArray[np.integer]) -> Imprinted:
    """Return the head with rows for the classes of pictures with `features` `[M, D]`, `labels` 0 … K - 1."""
    head, own, classes = known.head, np.asarray(features, np.float64), int(labels.max()) + 1
    row = _rows(known)
    rows = [row(own[labels == label]) for label in range(classes)]
    old = _scores(rows, np.asarray(known.features, np.float64))
    new = _scores(rows, own)
    for place, label in enumerate(labels):
        others = (labels == label) & (np.arange(len(labels)) != place)
        if others.any():
            new[place, label] = _scores([row(own[others])], own[place : place + 1])[0, 0]
    among = np.concatenate([head.outputs(np.asarray(known.features, np.float64)), head.outputs(own)]).astype(
        np.float64
    )
    truth = np.concatenate([known.labels, len(head.bias) + labels]).astype(np.int64)
    fair = _Fair(among * known.factor, np.concatenate([old, new]), truth)
    scales, offsets = fair.solve()
    kernel = np.stack([direction for direction, _ in rows], 1) * scales / known.factor
    bias = (np.array([offset for _, offset in rows]) * scales + offsets) / known.factor
    answers = fair.logits(scales, offsets)[len(known.labels) :].argmax(1) == truth[len(known.labels) :]
    counts = np.bincount(labels)
    right = tuple(
        int(answers[labels == label].sum()) if counts[label] > 1 else None for label in range(classes)
    )
    joined = Head(
        np.concatenate([head.kernel, kernel], 1).astype(np.float32),
        np.concatenate([head.bias, bias]).astype(np.float32),
    )
    return Imprinted(joined, right)


def _rows(known: Known) -> Callable[[Array], Row]:
    """Return a function: features of a class's pictures `[n, D]` → the direction `[D]` and its offset."""
    within = known.within
    axes, middle = within.axes.astype(np.float64), within.means.astype(np.float64).mean(0)

    def whitened(vector: Array) -> Array:
        along = axes.T @ vector
        across = (vector - axes @ along) / within.rest if axes.shape[0] > axes.shape[1] else 0.0
        return np.asarray(axes @ (along / within.variances) + across)

    def row(features: Array) -> Row:
        mean = features.mean(0)
        if len(features) == 1:
            return mean / max(float(np.linalg.norm(mean)), 1e-12), 0.0
        direction = whitened(mean - middle)
        return direction, -0.5 * float(direction @ (mean + middle))

    return row


def _scores(rows: list[Row], features: Array) -> Array:
    return np.stack([features @ direction + offset for direction, offset in rows], 1)


class _Fair:
    """Scales and offsets of new scores beside the logits that are there: found by gradient.

    Args:
        known: logits of the classes that are there, `[N, C]`.
        scores: of the new rows, `[N, K]`.
        truth: `[N]`, 0 … C + K - 1.
    """

    def __init__(self, known: Array, scores: Array, truth: NDArray[np.int64]) -> None:
        self.known, self.scores, self.truth = known, scores, truth
        self.unit = np.maximum(scores.std(0), 1e-12)
        self.weights = 1 / np.bincount(truth, minlength=known.shape[1] + scores.shape[1])[truth]

    def logits(self, scales: Array, offsets: Array) -> Array:
        return np.concatenate([self.known, self.scores * scales + offsets], 1)

    def solve(self) -> tuple[Array, Array]:
        """Return scales and offsets, `[K]` each; a scale is above 0."""
        count = self.scores.shape[1]
        found = minimize(self._cost, np.zeros(2 * count), jac=True, method="L-BFGS-B").x
        return np.exp(found[:count]) / self.unit, found[count:]

    def _cost(self, values: Array) -> tuple[float, Array]:
        """Return the cost, and its gradient, of logarithms of scales, then offsets."""
        count = self.scores.shape[1]
        scales = np.exp(values[:count]) / self.unit
        logs = log_softmax(self.logits(scales, values[count:]), axis=1)
        places = np.arange(len(self.truth))
        wrong = np.exp(logs)
        wrong[places, self.truth] -= 1
        wrong = wrong[:, -count:] * self.weights[:, None]
        cost = -float(self.weights @ logs[places, self.truth]) + PULL * float(values[:count] @ values[:count])
        by_scale = (wrong * self.scores).sum(0) * scales + 2 * PULL * values[:count]
        return cost, np.concatenate([by_scale, wrong.sum(0)])
