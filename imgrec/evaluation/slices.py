"""Where a model is weaker than elsewhere: by slices of the images, corrected for how many there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.paired import SIGNIFICANT, holm
from imgrec.metrics.wording import number
from imgrec.phrases import Phrase

LEAST = 10
"""A slice of fewer images, or with fewer beside it, is counted and not judged."""
MOST_VALUES = 30
"""A column of more different words tells images apart, and makes no slices."""


@dataclass(frozen=True)
class Slice:
    """The images of one kind, beside all others.

    attribute, value: what they have in common, such as `brightness` and `up to 71`.
    images: how many they are, right: how many of them are answered right.
    difference: the share right less that of all other images, -1…1.
    p_holm: of no difference: Fisher's exact test, raised for as many slices as there are (Holm, 1979).
    """

    attribute: str
    value: str
    images: int
    right: int
    difference: float
    p_holm: float

    @property
    def share(self) -> float:
        """The share that is right."""
        return self.right / self.images

    @property
    def interval_95(self) -> list[float]:
        """Wilson's interval of that share."""
        return wilson_interval(self.right, self.images)

    @property
    def weak(self) -> bool:
        """Whether the images show that these are answered worse than the others."""
        return self.difference < 0 and self.p_holm < SIGNIFICANT

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "attribute": str(self.attribute),
            "value": str(self.value),
            "images": self.images,
            "right": self.share,
            "interval_95": self.interval_95,
            "difference": self.difference,
            "p_holm": self.p_holm,
            "weak": self.weak,
        }


@dataclass(frozen=True)
class Sliced:
    """Slices, the lowest share first, and what was not judged, one phrase each."""

    slices: tuple[Slice, ...]
    left_out: tuple[Phrase, ...]


def sliced(right: NDArray[np.bool_], attributes: Mapping[str, Sequence[Any]]) -> Sliced:
    """Return the share right of every slice of `LEAST` images or more.

    An attribute of numbers is cut into thirds, one of words into its values; empty cells are a value too.

    Args:
        right: bool `[N]`.
        attributes: name → `[N]` numbers or words.
    """
    from scipy.stats import fisher_exact

    found: list[tuple[str, str, NDArray[np.bool_]]] = []
    left_out: list[Phrase] = []
    for name, cells in attributes.items():
        groups = _groups(cells)
        if len(groups) > MOST_VALUES:
            left_out.append(Phrase("{name}: {n} different values", name=name, n=len(groups)))
            continue
        for value, members in groups:
            count = int(members.sum())
            if min(count, len(right) - count) >= LEAST:
                found.append((name, value, members))
            elif count < len(right):
                left_out.append(Phrase("{name} {value}: {n} images", name=name, value=value, n=count))
    counts = [(int(right[m].sum()), int(m.sum()), int(right[~m].sum()), int((~m).sum())) for *_, m in found]
    values = [float(fisher_exact([[a, b - a], [c, d - c]]).pvalue) for a, b, c, d in counts]
    slices = [
        Slice(name, value, b, a, a / b - c / d, p)
        for (name, value, _), (a, b, c, d), p in zip(found, counts, holm(values), strict=True)
    ]
    return Sliced(tuple(sorted(slices, key=lambda each: each.share)), tuple(left_out))


def _groups(cells: Sequence[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the values of an attribute, each with which images have it."""
    numbers = _numbers(cells)
    if numbers is not None and len(np.unique(numbers[np.isfinite(numbers)])) > 6:
        return _thirds(numbers)
    words = np.array([str(cell) for cell in cells], dtype=object)
    empty = Phrase("(empty)")
    return [(value or empty, np.asarray(words == value)) for value, _ in Counter(words).most_common()]


def _numbers(cells: Sequence[Any]) -> NDArray[np.float64] | None:
    """Return cells as numbers, NaN where one is empty; None where one is a word."""
    try:
        return np.array([float(cell) if cell != "" else np.nan for cell in cells])
    except ValueError:
        return None


def _thirds(numbers: NDArray[np.float64]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the lowest, middle and highest third; fewer where many numbers are equal."""
    low, high = np.nanquantile(numbers, (1 / 3, 2 / 3), method="inverted_cdf")
    first, second = number(float(low)), number(float(high))
    groups: list[tuple[str, NDArray[np.bool_]]] = [
        (Phrase("up to {high}", high=first), numbers <= low),
        (Phrase("over {low}, up to {high}", low=first, high=second), (numbers > low) & (numbers <= high)),
        (Phrase("over {low}", low=second), numbers > high),
        (Phrase("(empty)"), np.isnan(numbers)),
    ]
    return [(value, members) for value, members in groups if members.any()]
