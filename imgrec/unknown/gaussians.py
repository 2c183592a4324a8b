"""Gaussians of a model's features: how far an image lies from the classes that it learned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AXES = 256
"""Principal axes that are kept of a covariance: all of them up to this many features."""


@dataclass(frozen=True)
class Gaussian:
    """A covariance around one mean or several, as its principal axes and one variance for the rest.

    means: float32 `[M, D]`.
    axes: float32 `[D, K]`, orthonormal; K = min(D, AXES).
    variances: float32 `[K]`, along the axes, above 0.
    rest: variance in each direction across all axes, above 0; where K is D, there is none.

    Source of the form: Tipping and Bishop, "Probabilistic principal component analysis", Journal of the
    Royal Statistical Society B 61, 1999. It takes D·K numbers in place of D².
    """

    means: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: float

    @classmethod
    def fit(cls, features: NDArray[np.floating], groups: NDArray[np.integer]) -> "Gaussian":
        """Return the Gaussian with a mean for each group and the covariance that they share.

        The covariance is shrunk towards a sphere as much as the images ask for, so that few of them, or
        features that never move, are no matter. Source: Ledoit and Wolf, "A well-conditioned estimator for
        large-dimensional covariance matrices", Journal of Multivariate Analysis 88, 2004.

        Args:
            features: float `[N, D]`.
            groups: `[N]`, 0 … M - 1, each there at least once.
        """
        from sklearn.covariance import ledoit_wolf

        exact = features.astype(np.float64)
        sums = np.zeros((int(groups.max()) + 1, exact.shape[1]))
        np.add.at(sums, groups, exact)
        means = sums / np.bincount(groups)[:, None]
        covariance, _ = ledoit_wolf(exact - means[groups], assume_centered=True)
        variances, axes = np.linalg.eigh(covariance)
        first = max(0, len(variances) - AXES)
        # Features that never move at all: as if by rounding, so that what moves them is seen.
        floor = max(float(variances[-1]), 1e-12) * 1e-7
        kept, left = np.maximum(variances[first:], floor), np.maximum(variances[:first], floor)
        return cls(
            means.astype(np.float32),
            axes[:, first:].astype(np.float32),
            kept.astype(np.float32),
            float(np.float32(left.mean() if len(left) else floor)),
        )

    def distances(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the squared Mahalanobis distance to each mean, float64 `[N, M]`, of features `[N, D]`."""
        exact, axes = features.astype(np.float64), self.axes.astype(np.float64)
        placed, centres = exact @ axes, self.means.astype(np.float64) @ axes
        found = np.empty((len(exact), len(centres)))
        for column, (mean, centre) in enumerate(zip(self.means, centres, strict=True)):
            along = (placed - centre) ** 2
            found[:, column] = (along / self.variances).sum(axis=1)
            if axes.shape[0] > axes.shape[1]:
                across = ((exact - mean) ** 2).sum(axis=1) - along.sum(axis=1)
                found[:, column] += np.maximum(across, 0) / self.rest
        return found


@dataclass(frozen=True)
class Known:
    """Where the features of training images lie: each class, and all of them as if they were one.

    within: a mean for each class, and the covariance around them.
    overall: one mean, and the covariance around it.
    scales: median, and from there to the 95th percentile, of both distances of training images, float64
        `[2, 2]`: of `mahalanobis`, of `relative`.
    """

    within: Gaussian
    overall: Gaussian
    scales: NDArray[np.float64]

    @classmethod
    def fit(cls, features: NDArray[np.floating], labels: NDArray[np.integer]) -> "Known":
        """Fit both on features `[N, D]` of images with labels `[N]`; a class without images is left out."""
        _, groups = np.unique(labels, return_inverse=True)
        parts = (Gaussian.fit(features, groups), Gaussian.fit(features, np.zeros_like(groups)))
        bare = cls(*parts, np.array([[0.0, 1.0]] * 2))
        middle, high = np.quantile(bare.both(features), (0.5, 0.95), axis=1)
        return cls(*parts, np.stack([middle, np.maximum(high - middle, 1e-6)], axis=1))

    def both(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `mahalanobis` and `relative`, float64 `[2, N]`."""
        nearest = self.within.distances(features).min(axis=1)
        return np.stack([nearest, nearest - self.overall.distances(features)[:, 0]])

    def mahalanobis(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the squared distance to the nearest class, float64 `[N]`.

        Source: Lee et al., "A simple unified framework for detecting out-of-distribution samples and
        adversarial attacks", 2018 (arXiv 1807.03888), of the last features, without input noise.
        """
        return np.asarray(self.both(features)[0])

    def relative(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the same less the distance to all images as one, float64 `[N]`.

        What all images vary in cancels out, and what tells classes apart is left. Source: Ren et al., "A
        simple fix to Mahalanobis distance for improving near-OOD detection", 2021 (arXiv 2106.09022).
        """
        return np.asarray(self.both(features)[1])

    def either(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the larger of both, each on the scale of the training images, float64 `[N]`.

        The relative distance does not see what moves along features that no class differs in; the plain one
        hardly sees small moves along those that classes do differ in. Ours: no paper has it.
        """
        middle, spread = self.scales[:, :1], self.scales[:, 1:]
        return np.asarray(((self.both(features) - middle) / spread).max(axis=0))
