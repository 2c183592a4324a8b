"""The 15 corruptions of ImageNet-C at five severities: what cameras, weather and files do to images.

`corrupt` is a function: equal (image, name, severity, seed, key) give equal pixels. Small images take
CIFAR-C's constants. What differs from the published code stands in docs/robustness.md.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imgrec.data.corrupt import blur, digital, noise, weather
from imgrec.data.corrupt.constants import LARGE_IMAGES, SMALL, SMALL_IMAGES
from imgrec.errors import InputError
from imgrec.phrases import Phrase
from imgrec.registry import lookup

SEVERITIES = (1, 2, 3, 4, 5)
LEAST_SIDE = 16


@dataclass(frozen=True)
class Corruption:
    """One of the corruptions.

    title: its name on pages.
    group: noise, blur, weather or digital.
    apply: (image float64 0…1 `[h, w, C]`, generator, constants …) → the same shape, about 0…1.
    """

    title: Phrase
    group: str
    apply: Callable[..., np.ndarray]


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(Phrase("Gaussian noise"), "noise", noise.gaussian_noise),
    "shot_noise": Corruption(Phrase("shot noise"), "noise", noise.shot_noise),
    "impulse_noise": Corruption(Phrase("impulse noise"), "noise", noise.impulse_noise),
    "defocus_blur": Corruption(Phrase("defocus blur"), "blur", blur.defocus_blur),
    "glass_blur": Corruption(Phrase("glass blur"), "blur", blur.glass_blur),
    "motion_blur": Corruption(Phrase("motion blur"), "blur", blur.motion_blur),
    "zoom_blur": Corruption(Phrase("zoom blur"), "blur", blur.zoom_blur),
    "snow": Corruption(Phrase("snow"), "weather", weather.snow),
    "frost": Corruption(Phrase("frost"), "weather", weather.frost),
    "fog": Corruption(Phrase("fog"), "weather", weather.fog),
    "brightness": Corruption(Phrase("brightness"), "weather", weather.brightness),
    "contrast": Corruption(Phrase("contrast"), "digital", digital.contrast),
    "elastic": Corruption(Phrase("elastic"), "digital", digital.elastic),
    "pixelate": Corruption(Phrase("pixelate"), "digital", digital.pixelate),
    "jpeg": Corruption(Phrase("JPEG"), "digital", digital.jpeg),
}
"""Every corruption by its name, in the order of the paper."""


def corrupt(image: np.ndarray, name: str, severity: int, seed: int = 0, key: str | int = 0) -> np.ndarray:
    """Return a corrupted image, uint8 `[h, w, C]` like the one given.

    Args:
        image: uint8 `[h, w, C]`, C = 1 or 3 (RGB), both sides 16 px or more.
        name: one of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: of all draws.
        key: what tells this image from others, such as its id; its draws follow from it, not from its place.

    Raises:
        InputError: another name, severity, dtype or shape.

    Source: Hendrycks and Dietterich, 2019 (arXiv 1903.12261).
    """
    corruption = lookup(CORRUPTIONS, name, "corruption")
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity!r}: expected a whole number from 1 to 5")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise InputError(f"image array of {image.dtype} {list(image.shape)}: expected uint8 [h, w, 1 or 3]")
    if min(image.shape[:2]) < LEAST_SIDE:
        raise InputError(
            f"an image of {image.shape[0]} × {image.shape[1]} px: corruptions need 16 px or more"
        )
    table = SMALL_IMAGES if min(image.shape[:2]) <= SMALL else LARGE_IMAGES
    draw = generator(seed, key, name, severity)
    changed = corruption.apply(image / 255, draw, *table[name][severity - 1])
    return np.rint(255 * np.clip(changed, 0, 1)).astype(np.uint8)


def generator(seed: int, key: str | int, *about: str | int) -> np.random.Generator:
    """Return the generator of one image's draws: a function of `seed`, `key` and what they are drawn for."""
    text = "\0".join(map(str, (seed, key, *about))).encode("utf-8", "surrogateescape")
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text, digest_size=16).digest()))
