"""What the readers of all formats give, and what they raise."""

from dataclasses import dataclass
from typing import Literal


class DamagedError(Exception):
    """The file is of a known format and not whole; a message that says `truncated` means just that."""


class UnreadError(Exception):
    """The file is of a known format, in a form of it that is not read."""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    channels: as stored: 1 grey, 2 grey and alpha, 3 colour (palettes too), 4 with alpha or CMYK.
    orientation: EXIF's 1…8, 1 where there is none.
    traits: what the decoder does not hand on as it is: animated, cmyk, 16_bit, alpha, palette.
    alpha: what a fourth channel means once decoded: `straight` transparency, colours already
        multiplied by it, or nothing.
    white_is_zero: whether decoded values have to be inverted.
    """

    format: str
    height: int
    width: int
    channels: int
    orientation: int = 1
    traits: tuple[str, ...] = ()
    alpha: Literal["straight", "multiplied", "unused"] = "straight"
    white_is_zero: bool = False

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width once the orientation is applied."""
        size = (self.height, self.width)
        return size if self.orientation < 5 else size[::-1]


def present(found: dict[str, bool]) -> tuple[str, ...]:
    """Return the names of the traits that are so."""
    return tuple(name for name, is_so in found.items() if is_so)
