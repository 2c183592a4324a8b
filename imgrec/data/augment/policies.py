"""RandAugment, AutoAugment, TrivialAugmentWide and AugMix: which operations an image gets, and how strongly.

The ranges are those of the papers as torchvision publishes them. Resampling is bilinear, one for operations
that follow one another; `fill` is the grey level that comes in from outside (128 in AutoAugment's code).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imgrec.data.augment import affine, colour, pixels
from imgrec.data.augment.view import Matrix, View
from imgrec.data.order.draws import Draws

Change = tuple[str, float, int]


@dataclass(frozen=True)
class Ranges:
    """The strongest magnitudes of a policy; level 0 is the weakest, 1 the strongest.

    shear: pixels a row. rotate: degrees. enhance: distance of a factor from 1.
    shift: pixels, or with `relative` a share of the side.
    bits: what posterize leaves at levels 0 and 1.
    """

    shear: float
    shift: float
    relative: bool
    rotate: float
    enhance: float
    bits: tuple[int, int]


AUTO = Ranges(shear=0.3, shift=150 / 331, relative=True, rotate=30, enhance=0.9, bits=(8, 4))
WIDE = Ranges(shear=0.99, shift=32, relative=False, rotate=135, enhance=0.99, bits=(8, 2))
MILD = Ranges(shear=0.3, shift=1 / 3, relative=True, rotate=30, enhance=0.9, bits=(4, 0))

GEOMETRIC = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
ENHANCING = ("brightness", "color", "contrast", "sharpness")
# With a sign, drawn evenly.
SIGNED = frozenset(GEOMETRIC + ENHANCING)
TONAL = ("posterize", "solarize", "autocontrast", "equalize")
RANDOM = ("identity", *GEOMETRIC, *ENHANCING, *TONAL)
MIXED = GEOMETRIC + TONAL + ENHANCING


def randaugment(view: View, draws: Draws, n: int = 2, m: int = 9, bins: int = 31, fill: int = 128) -> View:
    """Apply `n` of 14 operations, drawn with replacement, at magnitude `m` of 0 to `bins` − 1.

    Source: Cubuk et al., "RandAugment", 2020 (arXiv 1909.13719).
    """
    for _ in range(n):
        view = _signed(view, draws, RANDOM[draws.below(len(RANDOM))], m / (bins - 1), AUTO, fill)
    return view


def trivialaugment(view: View, draws: Draws, bins: int = 31, fill: int = 128) -> View:
    """Apply one of 14 operations at one of `bins` magnitudes, both drawn, over wide ranges.

    Source: Müller and Hutter, "TrivialAugment", 2021 (arXiv 2103.10158), TA (Wide).
    """
    name = RANDOM[draws.below(len(RANDOM))]
    return _signed(view, draws, name, draws.below(bins) / (bins - 1), WIDE, fill)


def autoaugment(view: View, draws: Draws, policy: str = "imagenet", fill: int = 128) -> View:
    """Apply one of the 25 pairs of operations that were learned for `policy`, imagenet or cifar10.

    Source: Cubuk et al., "AutoAugment", 2019 (arXiv 1805.09501), tables 7 and 9; magnitudes of 0 to 9.
    """
    pairs = POLICIES[policy]
    for name, probability, magnitude in pairs[draws.below(len(pairs))]:
        if draws.chance(probability):
            view = _signed(view, draws, name, magnitude / 9, AUTO, fill)
    return view


def augmix(
    view: View,
    draws: Draws,
    severity: int = 3,
    width: int = 3,
    depth: int = -1,
    alpha: float = 1.0,
    fill: int = 128,
) -> View:
    """Blend the image with `width` chains of `depth` operations each (−1: 1 to 3).

    Magnitudes are drawn below `severity`, of 0 to 9. The chains weigh as Dirichlet(α, …) among themselves
    and as Beta(α, α) against the image. The paper's loss of consistency is not part of it.

    Source: Hendrycks et al., "AugMix", 2020 (arXiv 1912.02781), with all 13 operations.
    """
    original = view.pixels()
    generator = draws.generator()
    share = generator.beta(alpha, alpha)
    blend = original * np.float32(1 - share)
    for weight in generator.dirichlet([alpha] * width):
        chain = View.of(original)
        for _ in range(depth if depth > 0 else 1 + draws.below(3)):
            name = MIXED[draws.below(len(MIXED))]
            chain = _signed(chain, draws, name, draws.below(severity) / 9, MILD, fill)
        blend += chain.pixels() * np.float32(share * weight)
    return view.painted(np.clip(np.rint(blend), 0, 255).astype(np.uint8))


def apply(view: View, name: str, level: float, ranges: Ranges, fill: int, sign: int = 1) -> View:
    """Apply one operation by its name, at a `level` of 0 to 1 of `ranges`."""
    if name in _MATRICES:
        return view.moved(_MATRICES[name](view.size, sign * level, ranges), fill)
    if name in _COLOURS:
        return _COLOURS[name](view, 1 + sign * level * ranges.enhance)
    return view if name == "identity" else view.painted(_TONES[name](view.pixels(), sign * level, ranges))


def _signed(view: View, draws: Draws, name: str, level: float, ranges: Ranges, fill: int) -> View:
    sign = -1 if name in SIGNED and draws.chance(0.5) else 1
    return apply(view, name, level, ranges, fill, sign)


def _shift(side: int, level: float, ranges: Ranges) -> int:
    return int(level * ranges.shift * (side if ranges.relative else 1))


# Shears keep the top left corner in place, as in AutoAugment's code.
_MATRICES: dict[str, Callable[[tuple[int, int], float, Ranges], Matrix]] = {
    "shear_x": lambda size, level, r: affine.shearing(x=level * r.shear),
    "shear_y": lambda size, level, r: affine.shearing(y=level * r.shear),
    "translate_x": lambda size, level, r: affine.shift(x=-_shift(size[1], level, r)),
    "translate_y": lambda size, level, r: affine.shift(y=-_shift(size[0], level, r)),
    "rotate": lambda size, level, r: affine.about_centre(affine.rotation(level * r.rotate), size),
}
_COLOURS: dict[str, Callable[[View, float], View]] = {
    "brightness": colour.brighter,
    "color": colour.saturated,
    "contrast": colour.contrasted,
}
_TONES: dict[str, Callable[[np.ndarray, float, Ranges], np.ndarray]] = {
    "sharpness": lambda x, level, r: pixels.sharpen(x, 1 + level * r.enhance),
    "posterize": lambda x, level, r: pixels.posterize(x, r.bits[0] - round((r.bits[0] - r.bits[1]) * level)),
    "solarize": lambda x, level, r: pixels.solarize(x, 255 * (1 - level)),
    "autocontrast": lambda x, level, r: pixels.autocontrast(x),
    "equalize": lambda x, level, r: pixels.equalize(x),
    "invert": lambda x, level, r: 255 - x,
}

# AutoAugment's pairs: name, probability and magnitude (0 to 9; 0 where there is none) of each operation.
# Some of ImageNet's are listed twice in the paper.
_IMAGENET = """
posterize 0.4 8, rotate 0.6 9
solarize 0.6 5, autocontrast 0.6 0
equalize 0.8 0, equalize 0.6 0
posterize 0.6 7, posterize 0.6 6
equalize 0.4 0, solarize 0.2 4
equalize 0.4 0, rotate 0.8 8
solarize 0.6 3, equalize 0.6 0
posterize 0.8 5, equalize 1 0
rotate 0.2 3, solarize 0.6 8
equalize 0.6 0, posterize 0.4 6
rotate 0.8 8, color 0.4 0
rotate 0.4 9, equalize 0.6 0
equalize 0 0, equalize 0.8 0
invert 0.6 0, equalize 1 0
color 0.6 4, contrast 1 8
rotate 0.8 8, color 1 2
color 0.8 8, solarize 0.8 7
sharpness 0.4 7, invert 0.6 0
shear_x 0.6 5, equalize 1 0
color 0.4 0, equalize 0.6 0
equalize 0.4 0, solarize 0.2 4
solarize 0.6 5, autocontrast 0.6 0
invert 0.6 0, equalize 1 0
color 0.6 4, contrast 1 8
equalize 0.8 0, equalize 0.6 0
"""

_CIFAR10 = """
invert 0.1 0, contrast 0.2 6
rotate 0.7 2, translate_x 0.3 9
sharpness 0.8 1, sharpness 0.9 3
shear_y 0.5 8, translate_y 0.7 9
autocontrast 0.5 0, equalize 0.9 0
shear_y 0.2 7, posterize 0.3 7
color 0.4 3, brightness 0.6 7
sharpness 0.3 9, brightness 0.7 9
equalize 0.6 0, equalize 0.5 0
contrast 0.6 7, sharpness 0.6 5
color 0.7 7, translate_x 0.5 8
equalize 0.3 0, autocontrast 0.4 0
translate_y 0.4 3, sharpness 0.2 6
brightness 0.9 6, color 0.2 8
solarize 0.5 2, invert 0 0
equalize 0.2 0, autocontrast 0.6 0
equalize 0.2 0, equalize 0.6 0
color 0.9 9, equalize 0.6 0
autocontrast 0.8 0, solarize 0.2 8
brightness 0.1 3, color 0.7 0
solarize 0.4 5, autocontrast 0.9 0
translate_y 0.9 9, translate_y 0.7 9
autocontrast 0.9 0, solarize 0.8 3
equalize 0.8 0, invert 0.1 0
translate_y 0.7 9, autocontrast 0.9 0
"""


def _read(table: str) -> tuple[tuple[Change, Change], ...]:
    rows = [[part.split() for part in line.split(",")] for line in table.strip().splitlines()]
    changes = [[(name, float(chance), int(level)) for name, chance, level in row] for row in rows]
    return tuple((first, second) for first, second in changes)


POLICIES = {"imagenet": _read(_IMAGENET), "cifar10": _read(_CIFAR10)}
