"""What an opened file is, whatever runs it."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Images to their outputs: uint8 `[N, H, W, C]`, N ≥ 1 → float32 `[N, *outputs]`."""

    @property
    def image(self) -> tuple[int, ...]:
        """(H, W, C) of an image that it takes; where C is 3, grey ones are repeated."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """Shape of what it gives for one."""

    @property
    def scored(self) -> bool:
        """Whether that is `Task.scores`."""

    @property
    def batch(self) -> int:
        """How many images it takes at a time; more are taken in parts."""

    @property
    def texts(self) -> Mapping[str, str]:
        """What the file says of itself, by name."""

    def __call__(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Answer."""
