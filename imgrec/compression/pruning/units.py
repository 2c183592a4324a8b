"""Channels that must stay or go together: a union of what additions, products and layers tie."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
"""For each element of a tensor, or index along a weight's axis, the channel that it belongs to; 0 stays."""

WHOLE = 0
"""The label of what stays: pixels, answers, and all whose number of channels something depends on."""


@dataclass(eq=False)
class Cut:
    """An axis of a weight along which channels lie.

    reads: whether the axis is that of channels coming in, so that without its slice the channel is not seen.
    """

    variable: keras.Variable
    axis: int
    labels: Labels
    reads: bool


@dataclass(frozen=True, eq=False)
class Work:
    """Multiply-accumulates of one call: `cost` × channels in × channels out that are there.

    `reads` None: nothing but `cost` × channels out (depthwise), `gives` None: a constant.
    """

    cost: float
    reads: Labels | None
    gives: Labels | None


class Ties:
    """Which labels stand for one channel: a forest, as in Tarjan's union-find."""

    def __init__(self) -> None:
        self._parent = np.zeros(1, np.int64)
        self.reasons: dict[str, None] = {}

    def new(self, count: int) -> Labels:
        """Return labels for `count` new channels."""
        first = len(self._parent)
        self._parent = np.concatenate([self._parent, np.arange(first, first + count)])
        return np.arange(first, first + count)

    def roots(self, labels: Labels) -> Labels:
        """Return for each label the one that stands for all it is tied to."""
        found = self._parent[labels]
        while not np.array_equal(found, self._parent[found]):
            found = self._parent[found]
        return found

    def tie(self, one: Labels, other: Labels) -> None:
        """Tie the channels of two arrays of one shape, element by element; what is tied to 0 stays."""
        pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
        for first, second in pairs.T:
            low, high = sorted((self._root(int(first)), self._root(int(second))))
            self._parent[high] = low

    def keep(self, labels: Labels, reason: str) -> None:
        """Let all these channels stay; `reason` is said where nothing else can be pruned."""
        distinct = np.unique(self.roots(labels))
        if distinct.any():
            self.reasons[reason] = None
            self._parent[distinct] = WHOLE

    def _root(self, label: int) -> int:
        parent = self._parent
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = int(parent[label])
        return label
