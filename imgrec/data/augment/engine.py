"""Which of the two ways to change images runs: on each while it is loaded, or on whole batches."""

from typing import Literal

from imgrec.config import AugmentConfig
from imgrec.data.augment.batch import Operation, flip_left_right, pad_and_crop, random_erasing
from imgrec.data.augment.compose import Augmenter, compose
from imgrec.data.preprocess import Preprocess

SMALL = 64
"""Up to this side images are padded and cropped by default; above, a random part of them is resized."""
LEAST_ERASED = 0.02
"""Smallest share of an image that erasing hides."""


def crop_for(crop: str, size: tuple[int, int]) -> str:
    """Resolve `auto`: `pad` for inputs of up to 64 pixels, else `random_resized`."""
    if crop != "auto":
        return crop
    return "pad" if max(size) <= SMALL else "random_resized"


def engines(
    augment: AugmentConfig, preprocess: Preprocess, seed: int, visibility: bool = False
) -> tuple[Augmenter | None, list[Operation]]:
    """Return what runs on each image (`compose.py`), if anything, and what then runs on batches (`batch.py`).

    A line of operations and random resized crops run on each image. For the rest that flags ask for, padding
    and cropping, mirroring and erasing, there are two ways; neither is within 5 % of the other at all sizes.
    On each image takes 1.3 × the processor time of batches at 28 px in grey from memory, 1.9 × with erasing;
    0.6 × at 32 px in colour, but Python's lock keeps it to one core; 0.5 × at 224 px from files (two cores,
    `benchmarks/input.py --engines`). So small images are changed in batches and larger ones by themselves,
    but batches alone tell where they erased, and mirror as a head on cached features is shown its images.

    Args:
        augment: what is asked for.
        preprocess: the size and colour of what is changed.
        seed: of the run.
        visibility: whether it must be told where erasing hid an image.

    Raises:
        InputError: a line that cannot be read, or a crop to another size.
    """
    size, crop = preprocess.size, crop_for(augment.crop, preprocess.size)
    small, line, batch = max(size) <= SMALL, [augment.augment] if augment.augment else [], list[Operation]()
    if not line and crop == "random_resized":
        line.append("resized_crop")
    elif not line and crop == "pad" and not small:
        line.append(f"crop(pad={max(1, round(min(size) * augment.crop_share))})")
    elif not line and crop == "pad":
        mode: Literal["zeros", "reflect"] = "zeros" if preprocess.colour == "grey" else "reflect"
        batch.append(pad_and_crop(seed, augment.crop_share, mode))
    if augment.flip and not augment.augment and line:
        line.append("flip")
    elif augment.flip and not augment.augment:
        batch.append(flip_left_right(seed))
    area = (LEAST_ERASED, augment.erasing_area)
    if augment.erasing and line and not small and not visibility:
        line.append(f"erasing({augment.erasing}, area={area})")
    elif augment.erasing:
        batch.append(random_erasing(seed, augment.erasing, area))
    return compose("|".join(line), size, seed) if line else None, batch
