"""Scores that tell known from unknown images by a model's answer; each rises with what is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOURCES: Mapping[str, str] = {
    "either_mahalanobis": "the larger of both distances, each on the scale of training images",
    "relative_mahalanobis": "Ren et al., 2021, arXiv 2106.09022",
    "mahalanobis": "Lee et al., 2018, arXiv 1807.03888",
    "energy": "Liu et al., 2020, arXiv 2010.03759",
    "max_logit": "Hendrycks et al., 2019, arXiv 1911.11132",
    "max_probability": "Hendrycks and Gimpel, 2016, arXiv 1610.02136",
}
"""Every score by its name, and where it is from. The first three look at features, the last at what any
file gives."""


@dataclass(frozen=True)
class Seen:
    """What a model says of N images.

    scores: probabilities, float32 `[N, C]`.
    logits: that they are made of, float32 `[N, C]`, where it gives them.
    features: what the head is given, float32 `[N, D]`, where that can be looked at.
    """

    scores: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    features: NDArray[np.float32] | None = None

    def __getitem__(self, images: slice) -> "Seen":
        """Return what is said of some of the images."""
        logits, features = self.logits, self.features
        return Seen(
            self.scores[images],
            None if logits is None else logits[images],
            None if features is None else features[images],
        )


def max_probability(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return one less the highest probability, float64 `[N]`."""
    return 1 - scores.astype(np.float64).max(axis=1)


def max_logit(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the highest logit, negated, float64 `[N]`."""
    return -logits.astype(np.float64).max(axis=1)


def energy(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the free energy, -T log Σ exp(logit / T), float64 `[N]`.

    It hangs on what a softmax takes away, the sum: of probabilities alone there is none.
    """
    from scipy.special import logsumexp

    return np.asarray(-temperature * logsumexp(logits.astype(np.float64) / temperature, axis=1))
