"""Figures of counts: the images, the answers and the right answers of each class, in each draw."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


class Counts(NamedTuple):
    """Of each class in each draw, float64 `[C, B]`: right answers, images of it, answers that name it."""

    right: NDArray[np.float64]
    support: NDArray[np.float64]
    named: NDArray[np.float64]

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of its images that are found; NaN without any."""
        return _over(self.right, self.support)

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of answers naming it that are right; 0 without any, NaN without images of the class."""
        shares = np.nan_to_num(_over(self.right, self.named))
        return np.where(self.support > 0, shares, np.nan)

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of both, 2 right / (images + answers); NaN without images of the class."""
        return np.where(self.support > 0, _over(2 * self.right, self.support + self.named), np.nan)


def count(truth: NDArray[np.bool_], said: NDArray[np.bool_], weights: NDArray[np.floating]) -> Counts:
    """Return the counts of marks bool `[N, C]` for each column of weights `[N, B]`."""
    right, support, named = (_total(marks, weights) for marks in (truth & said, truth, said))
    return Counts(right, support, named)


def count_labels(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int, weights: NDArray[np.floating]
) -> Counts:
    """Return the counts of one label an image, `[N]` each, for each column of weights."""
    images, ones = np.arange(len(labels)), np.ones(len(labels), np.float32)

    def of(rows: NDArray[np.integer], values: NDArray[np.float32] = ones) -> NDArray[np.float64]:
        table = sparse.csr_matrix((values, (rows, images)), shape=(classes, len(labels)))
        return np.asarray(table @ weights, np.float64)

    return Counts(of(labels, (labels == predicted).astype(np.float32)), of(labels), of(predicted))


def kappa(counts: Counts) -> NDArray[np.float64]:
    """Return Cohen's kappa in each draw: agreement beyond what equal shares would give by chance.

    Source: Cohen, "A coefficient of agreement for nominal scales", 1960. NaN where all is of one class.
    """
    images = counts.support.sum(axis=0)
    agreed = counts.right.sum(axis=0) / images
    chance = (counts.support * counts.named).sum(axis=0) / images**2
    return _over(agreed - chance, 1 - chance)


def matthews(counts: Counts) -> NDArray[np.float64]:
    """Return Matthews' correlation coefficient of K classes in each draw.

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    NaN where all images, or all answers, are of one class.
    """
    images = counts.support.sum(axis=0)
    shared = counts.right.sum(axis=0) * images - (counts.support * counts.named).sum(axis=0)
    spread = [images**2 - (side**2).sum(axis=0) for side in (counts.support, counts.named)]
    return _over(shared, np.sqrt(spread[0] * spread[1]))


def _total(marks: NDArray[np.bool_], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(sparse.csr_matrix(marks.T.astype(np.float32)) @ weights, np.float64)


def _over(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)
