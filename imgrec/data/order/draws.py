"""The draws of one image in one epoch, one after another, without TensorFlow: f(seed, epoch, index, stream).

The same numbers as `randomness.uniform` gives for whole batches.
"""

import numpy as np

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Draws:
    """Random numbers of one stream of one image, equal for equal (seed, epoch, index, stream).

    SplitMix64 (Steele, Lea and Flood, 2014): the k-th call of `uniform()` gives the k-th entry of
    `randomness.uniform(seed, epoch, index, stream, count)`.
    """

    def __init__(self, seed: int, epoch: int, index: int, stream: int) -> None:
        state = (seed * 64 + stream) & _MASK
        for value in (epoch, index):
            state = _finalise(state + _GOLDEN & _MASK) ^ int(value)
        self._state = state

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high), one of 2²⁴ equally spaced ones."""
        return low + (high - low) * ((self._word() >> 40) * 2.0**-24)

    def chance(self, probability: float) -> bool:
        """Return True with `probability`."""
        return self.uniform() < probability

    def below(self, count: int) -> int:
        """Return a whole number from 0 to `count` − 1, each equally likely."""
        return int(self.uniform() * count)

    def generator(self) -> np.random.Generator:
        """Return NumPy's generator, for arrays of numbers and other distributions."""
        return np.random.Generator(np.random.PCG64(self._word()))

    def _word(self) -> int:
        self._state = self._state + _GOLDEN & _MASK
        return _finalise(self._state)


def _finalise(state: int) -> int:
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
    return state ^ state >> 31
