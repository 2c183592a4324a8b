"""How unequal the classes of a set are, and which of them are its head and its tail."""

from collections.abc import Sequence

import numpy as np

NOTEWORTHY = 2.0
"""Images of the largest class for one of the smallest, from which on a set is called imbalanced."""
GROUPS = ("head", "medium", "tail")


def ratio(counts: Sequence[int] | np.ndarray) -> float:
    """Return images of the largest class for one of the smallest (an empty class counts as one image)."""
    return float(max(counts) / max(min(counts), 1))


def frequency_groups(counts: Sequence[int] | np.ndarray) -> list[int]:
    """Return the position in `GROUPS` of each class: thirds of the range of counts on a logarithmic scale.

    Relative to the set, so that they mean something at any size; published bounds (more than 100 images, 20
    to 100, fewer; Liu et al., 2019, arXiv 1904.05160) are those of one benchmark. A class on a bound
    belongs to the larger ones.
    """
    numbers = np.maximum(np.asarray(counts, np.float64), 1.0)
    depth = np.log(numbers.max() / numbers) / max(np.log(numbers.max() / numbers.min()), 1e-12)
    # A little more than a third: what stands on a bound must not depend on rounding.
    return np.minimum((depth * 3 - 1e-9).clip(0).astype(int), 2).tolist()
