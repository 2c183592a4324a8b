"""Draws that a test sets itself."""

from collections.abc import Iterable

from imgrec.data.order.draws import Draws


class Set(Draws):
    """Gives the numbers of [0, 1) that it was made of, in their order."""

    def __init__(self, *values: float) -> None:
        super().__init__(0, 0, 0, 0)
        self._values = iter(values)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * next(self._values)


def many(count: int, stream: int = 9, seed: int = 0) -> Iterable[Draws]:
    """The draws of the images 0 … count − 1."""
    return (Draws(seed, 0, index, stream) for index in range(count))
