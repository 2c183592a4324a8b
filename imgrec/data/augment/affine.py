"""Flip, crop, scale, rotate, shear and translate: matrices that a `View` multiplies into one resample.

A matrix takes a point of the new image to the old one's, x to the right, y down, in pixels. `border` is
what lies outside: a grey level of 0…255, `reflect`, or None for what the line had so far.

Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks", 2003 (affine maps);
Krizhevsky, Sutskever and Hinton, "ImageNet classification", 2012 (flips and crops).
"""

import math

from imgrec.data.augment.view import Border, Matrix, View, product
from imgrec.data.order.draws import Draws

Pair = tuple[float, float]
Size = tuple[int, int]


def flip(view: View, draws: Draws, p: float = 0.5) -> View:
    """Mirror left to right with probability `p`."""
    width = view.size[1]
    return view.moved((-1, 0, width, 0, 1, 0)) if draws.chance(p) else view


def flip_vertical(view: View, draws: Draws, p: float = 0.5) -> View:
    """Mirror top to bottom with probability `p`."""
    height = view.size[0]
    return view.moved((1, 0, 0, 0, -1, height)) if draws.chance(p) else view


def crop(view: View, draws: Draws, size: Size, pad: int = 4, border: Border | None = None) -> View:
    """Pad every side by `pad` pixels and cut `size` (height, width) out at a random place.

    Source: Lee et al., "Deeply-supervised nets", 2015 (4 pixels around 32).
    """
    indices = [max(0, have + 2 * pad - want) + 1 for have, want in zip(view.size, size, strict=True)]
    top, left = (draws.below(count) - pad for count in indices)
    return view.moved((1, 0, left, 0, 1, top), border, size)


def resized_crop(
    view: View, draws: Draws, size: Size, scale: Pair = (0.35, 1.0), ratio: Pair = (3 / 4, 4 / 3)
) -> View:
    """Cut a part with `scale` of the area and an aspect (width / height) in `ratio`, and resize it to `size`.

    After ten parts that do not fit, the largest centred one of an allowed aspect is taken. The smallest
    area is .35, not the .08 of ImageNet training: sets of a few thousand images fit poorly to crops that
    miss the object.

    Source: Szegedy et al., "Going deeper with convolutions", 2014 (arXiv 1409.4842), in torchvision's form.
    """
    top, left, height, width = _part(view.size, draws, scale, ratio)
    return view.moved((width / size[1], 0, left, 0, height / size[0], top), None, size)


def _part(size: Size, draws: Draws, scale: Pair, ratio: Pair) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a random part of `size` (height, width)."""
    height, width = size
    for _ in range(10):
        area = height * width * draws.uniform(*scale)
        aspect = math.exp(draws.uniform(math.log(ratio[0]), math.log(ratio[1])))
        high, wide = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 1 <= high <= height and 1 <= wide <= width:
            return draws.below(height - high + 1), draws.below(width - wide + 1), high, wide
    aspect = min(max(width / height, ratio[0]), ratio[1])
    high, wide = max(1, round(min(height, width / aspect))), max(1, round(min(width, height * aspect)))
    return (height - high) // 2, (width - wide) // 2, high, wide


def rotate(view: View, draws: Draws, degrees: float = 15.0, border: Border | None = None) -> View:
    """Turn about the centre by an angle from −`degrees` to `degrees`."""
    return view.moved(about_centre(rotation(draws.uniform(-degrees, degrees)), view.size), border)


def shear(view: View, draws: Draws, degrees: float = 10.0, border: Border | None = None) -> View:
    """Slant rows and columns about the centre, each by an angle from −`degrees` to `degrees`."""
    x, y = (math.tan(math.radians(draws.uniform(-degrees, degrees))) for _ in range(2))
    return view.moved(about_centre((1, x, 0, y, 1, 0), view.size), border)


def translate(view: View, draws: Draws, share: float = 0.1, border: Border | None = None) -> View:
    """Shift by up to `share` of the width and of the height."""
    y, x = (side * draws.uniform(-share, share) for side in view.size)
    return view.moved((1, 0, x, 0, 1, y), border)


def scale(
    view: View, draws: Draws, low: float = 0.8, high: float = 1.25, border: Border | None = None
) -> View:
    """Enlarge about the centre by a factor from `low` to `high`, uniform in its logarithm."""
    factor = math.exp(draws.uniform(math.log(low), math.log(high)))
    return view.moved(about_centre((1 / factor, 0, 0, 0, 1 / factor, 0), view.size), border)


def rotation(degrees: float) -> Matrix:
    """Return the matrix that turns an image anticlockwise by `degrees`."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (cosine, -sine, 0, sine, cosine, 0)


def shearing(x: float = 0.0, y: float = 0.0) -> Matrix:
    """Return the matrix that takes (i, j) from (i + x·j, j + y·i): about the top left corner."""
    return (1, x, 0, y, 1, 0)


def shift(x: float = 0.0, y: float = 0.0) -> Matrix:
    """Return the matrix that moves an image `x` pixels to the left and `y` up."""
    return (1, 0, x, 0, 1, y)


def about_centre(matrix: Matrix, size: Size) -> Matrix:
    """Return `matrix` with the centre of `size` (height, width) as its fixed point."""
    y, x = size[0] / 2, size[1] / 2
    return product(product(shift(x, y), matrix), shift(-x, -y))
