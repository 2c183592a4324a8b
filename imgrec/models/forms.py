"""Forms of a network: of other widths, and for small images, without the early strides for photographs."""

from collections.abc import Sequence
from typing import Any

from imgrec.errors import InputError
from imgrec.models.architecture import Architecture, Shape
from imgrec.models.head import check_flag

SMALL = 64
"""Up to this many pixels a side, `small_stem="auto"` spares the early strides."""
SPARED = 2
"""How many halvings a small stem leaves out: the deepest map is then ⅛ of the image's side, not 1/32."""
DIVISOR = 8
"""Mobile hardware is fast where channels come in multiples of eight."""


def wants_small_stem(
    row: Architecture, shape: Shape, small_stem: bool | str, times: int = 2, option: str = "small_stem"
) -> bool:
    """Decide whether `row` spares its early strides for an image of `shape`.

    Args:
        row: of a family whose `min_size` is that of its small form.
        shape: (H, W, C).
        small_stem: true, false, or "auto": up to 64 px on the shorter side.
        times: how many times `min_size` the full strides need.
        option: the user's name for `small_stem`.

    Raises:
        InputError: another value, or an image too small for the full strides.
    """
    small = min(shape[:2]) <= SMALL if small_stem == "auto" else check_flag(small_stem, option)
    if not small:
        row.require_size(shape, times * row.min_size, f" with {option}=false")
    return small


def early_strides(strides: Sequence[int], small: bool) -> list[int]:
    """Return `strides`, stem first; where `small`, with 1 in place of the first two that are not 1."""
    spared = [index for index, stride in enumerate(strides) if stride > 1][: SPARED if small else 0]
    return [1 if index in spared else stride for index, stride in enumerate(strides)]


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
