"""Small images: the early strides that a network made for photographs does without."""

from collections.abc import Sequence

from imgrec.models.architecture import Architecture, Shape
from imgrec.models.head import check_flag

SMALL = 64
"""Up to this many pixels a side, `small_stem="auto"` spares the early strides."""
SPARED = 2
"""How many halvings a small stem leaves out: the deepest map is then ⅛ of the image's side, not 1/32."""


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
