"""Width multipliers: how many channels a narrower or wider form of a network has."""

from typing import Any

from imgrec.errors import InputError

DIVISOR = 8
"""Mobile hardware is fast where channels come in multiples of eight."""


def round_channels(channels: float, divisor: int = DIVISOR) -> int:
    """Return the multiple of `divisor` nearest to `channels`, at least one, and at most 10 % below it.

    Source: TF-slim's `make_divisible`, which torchvision and timm have too.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def check_width(width: Any) -> float:
    """Return `width`, the factor on all channels.

    Raises:
        InputError: it is no number from 0.1 to 4.
    """
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not 0.1 <= width <= 4:
        raise InputError(f"width={width!r}: expected a factor on the channels from 0.1 to 4, such as 0.5")
    return float(width)
