"""Whether an image is unlike those that a model learned from, with a stated rate of false alarms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.unknown.gaussians import Known
from imgrec.unknown.scores import SOURCES, Seen, energy, max_logit, max_probability

BEST, ANY = "either_mahalanobis", "max_probability"
"""The score that is used where features can be looked at, and the one that any answer has."""
WIDEST = 4096
"""Features that are looked at, at most; wider ones are maps, whose covariance says little."""
WORDS = "unlike the training images"


@dataclass(frozen=True)
class Detector:
    """What images like the training ones score, so that others stand out.

    known: where their features lie; None where the model's features cannot be looked at.
    validation: score → its values on V validation images, rising, float32 `[V]`.
    false_alarms: the share of such images that may be called unknown, 0…½.
    images: training images that `known` was fitted on.
    """

    known: Known | None
    validation: Mapping[str, NDArray[np.float32]]
    false_alarms: float
    images: int

    @classmethod
    def fit(
        cls, train: Seen, labels: NDArray[np.integer], validation: Seen, false_alarms: float = 0.05
    ) -> "Detector":
        """Fit on training images with their labels, and take thresholds from validation images.

        Raises:
            InputError: too few validation images for the rate, see `least`, or answers that are not finite.
        """
        count = len(validation.scores)
        if count < least(false_alarms):
            raise InputError(too_few(count, false_alarms))
        parts = [part for seen in (train, validation) for part in vars(seen).values() if part is not None]
        if not all(np.isfinite(part).all() for part in parts):
            raise InputError("the model's answers are not finite numbers: they give no threshold")
        features = train.features
        known = None if features is None or features.shape[1] > WIDEST else Known.fit(features, labels)
        values = _values(known, validation)
        ordered = {name: np.sort(each).astype(np.float32) for name, each in values.items()}
        return cls(known, ordered, false_alarms, len(train.scores))

    def values(self, seen: Seen) -> dict[str, NDArray[np.float64]]:
        """Return every score that can be had of these answers, float64 `[N]`, by its name."""
        return {name: each for name, each in _values(self.known, seen).items() if name in self.validation}

    def chosen(self, seen: Seen) -> str:
        """Return the name of the score that decides: by features where it can."""
        width = None if self.known is None else self.known.within.means.shape[1]
        return BEST if seen.features is not None and seen.features.shape[1] == width else ANY

    def shares(self, name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how unlike the training images each is, 0…1, `[N]`: the share that is less so.

        One less the conformal p value among the validation images: of images like these it is above 1 - α
        with probability α at most, whatever the score. Source: Vovk et al., "Algorithmic learning in a random
        world", 2005; for outliers Bates et al., 2023 (arXiv 2104.08279).
        """
        held = self.validation[name]
        # As they are stored: a validation image itself must not stand above its own value by rounding.
        below = np.searchsorted(held, values.astype(np.float32), side="left")
        return np.asarray(below / (len(held) + 1))

    def alarms(self, shares: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which shares are alarms, bool `[N]`."""
        return np.asarray(shares >= 1 - self.false_alarms - 1e-12)

    def told(self, seen: Seen) -> list[dict[str, Any]]:
        """Return what each answer says of it: `unknown`, and `unknown_score`, 0…1; ready for JSON."""
        name = self.chosen(seen)
        shares = self.shares(name, self.values(seen)[name])
        return [
            {"unknown": bool(alarm), "unknown_score": round(float(share), 4)}
            for alarm, share in zip(self.alarms(shares), shares, strict=True)
        ]

    def expected(self, images: int) -> tuple[int, int]:
        """Return how many false alarms among new images of the same kind are within 95 % chance.

        Not a share of α ± chance alone: the threshold is by chance, too. Source: Vovk, "Conditional validity
        of inductive conformal predictors", 2012 (arXiv 1209.2673), the coverage's Beta distribution.
        """
        from scipy.stats import betabinom

        count = len(self.validation[ANY])
        rank = math.ceil((count + 1) * (1 - self.false_alarms) - 1e-9)
        low, high = betabinom(images, count + 1 - rank, rank).interval(0.95)
        return int(low), int(high)


def _values(known: Known | None, seen: Seen) -> dict[str, NDArray[np.float64]]:
    """Return every score that can be had, in the order of `SOURCES`."""
    values = {"max_probability": max_probability(seen.scores)}
    if seen.logits is not None:
        values |= {"energy": energy(seen.logits), "max_logit": max_logit(seen.logits)}
    if (
        known is not None
        and seen.features is not None
        and seen.features.shape[1] == known.within.means.shape[1]
    ):
        values["mahalanobis"], values["relative_mahalanobis"] = known.both(seen.features)
        values["either_mahalanobis"] = known.either(seen.features)
    return {name: values[name] for name in SOURCES if name in values}


def least(false_alarms: float) -> int:
    """Return how many validation images a rate of false alarms needs: 19 for 5 %."""
    return math.ceil(1 / false_alarms - 1e-9) - 1


def too_few(images: int, false_alarms: float) -> str:
    """Say that so many validation images give no threshold."""
    return (
        f"{images} validation images give no threshold with {100 * false_alarms:g} % false alarms, "
        f"{least(false_alarms)} or more do"
    )


def line(answer: Mapping[str, Any]) -> str:
    """Return what `Detector.told` put into an answer, as text behind its classes; empty where no alarm."""
    return f"  {WORDS}" if answer.get("unknown") else ""
