"""How the range of a tensor is read off calibration images, by name, with options.

All take a batch's values as a NumPy array and give its two ends; `merge` puts the ends of several batches
together.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from imgrec.errors import InputError
from imgrec.registry import build
from imgrec.spec import Spec, Value, number_option

MOST_VALUES = 1_000_000
"""Of a batch's values that are sorted or rounded; more are thinned out evenly."""


class Observer:
    """The smallest and largest value of a batch, averaged over the batches.

    follows: the momentum with which the range goes on to follow the batches of fine-tuning; None: it stays.
    """

    follows: float | None = 0.99

    def ends(self, values: np.ndarray) -> tuple[float, float]:
        """Return the lower and the upper end for float32 values of any shape."""
        return float(values.min()), float(values.max())

    def merge(self, end: float, seen: float, batches: int) -> float:
        """Return the end after `batches` batches and the one in which `seen` was."""
        return (end * batches + seen) / (batches + 1)


class Moving(Observer):
    """A moving average of the batches' ends, in calibration and in fine-tuning (Jacob et al., 2018, 3.1)."""

    def __init__(self, momentum: Value = 0.9) -> None:
        self.follows: float = number_option("momentum", momentum, 0, 0.9999)

    def merge(self, end: float, seen: float, batches: int) -> float:
        """Begin with the first batch, then move towards each."""
        return end * self.follows + seen * (1 - self.follows) if batches else seen


class Extremes(Observer):
    """The smallest and largest value of all batches."""

    follows = None

    def merge(self, end: float, seen: float, batches: int) -> float:
        """Return whichever lies further out."""
        return max(end, seen, key=abs) if batches else seen


class Percentile(Observer):
    """What `share` per cent of the values lie within at each end, averaged; what is beyond is clipped."""

    follows = None

    def __init__(self, share: Value = 99.99) -> None:
        self.share = number_option("share", share, 50, 100)

    def ends(self, values: np.ndarray) -> tuple[float, float]:
        """Return the percentiles from below and from above."""
        low, high = np.percentile(_thinned(values), [100 - self.share, self.share])
        return float(low), float(high)


class LeastSquares(Observer):
    """The range of which rounding to 256 points moves the values least, by the mean square; averaged.

    Both ends are drawn in together, in steps of a fiftieth, down to a fifth.
    """

    follows = None

    def ends(self, values: np.ndarray) -> tuple[float, float]:
        """Return the best of the ranges tried."""
        values = _thinned(values)
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
        best, least = (low, high), np.inf
        for share in np.linspace(1, 0.2, 41):
            step = max((high - low) * share / 255, 1e-12)
            start = np.round(low * share / step) * step
            near = np.clip(np.round((values - start) / step), 0, 255) * step + start
            error = float(np.mean((near - values) ** 2))
            if error < least:
                best, least = (low * float(share), high * float(share)), error
        return best


OBSERVERS: dict[str, Callable[..., Observer]] = {
    "mean": Observer,
    "moving": Moving,
    "extremes": Extremes,
    "percentile": Percentile,
    "mse": LeastSquares,
}
"""Every observer by its name; takes its options by keyword."""


def read_observer(asked: Value) -> Observer:
    """Return the observer of `OBSERVERS` that `asked` names, such as `percentile(share=99.9)`.

    Raises:
        InputError: an unknown name or option, or a value out of its bounds.
    """
    if not isinstance(asked, (str, Spec)):
        raise InputError(f"observer={asked!r}: expected one of {', '.join(OBSERVERS)}")
    spec: Any = Spec.named(str(asked), "observer")
    return build(OBSERVERS, spec.name, "observer", spec.options)


def _thinned(values: np.ndarray) -> np.ndarray:
    flat = values.ravel()
    return flat[:: 1 + flat.size // MOST_VALUES]
