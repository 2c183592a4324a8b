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
    and cropping, mirroring and erasing, there are two ways. Of small images in memory batches change more in
    a second, 33,900 to 27,200 at 28 px in grey; those from files are changed faster by themselves, 300 to 199
    at 224 px, and with erasing 300 to 149 (`benchmarks/input.py --engines`). But batches alone tell
    where they erased (`visibility`), and mirror as a head on cached features is shown its images.
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
