"""Brightness, contrast, saturation and hue as 3 × 4 matrices on RGB, which a `View` multiplies into one step.

Nothing is cut to 0…255 between them. Source of the matrices: Haeberli, "Matrix operations for image
processing", 1993; the factors are those of Pillow's ImageEnhance (1 changes nothing).
"""

import math

import numpy as np

from imgrec.data.augment.view import LUMA, View
from imgrec.data.order.draws import Draws

# To the luma and chroma axes Y, I, Q of NTSC (FCC, 1953), in which a hue is an angle.
_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def jitter(
    view: View,
    draws: Draws,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.0,
) -> View:
    """Change brightness, contrast, saturation and hue, in this order, as the operations of these names do.

    Source: Howard, "Some improvements on deep convolutional neural network based image classification",
    2013 (arXiv 1312.5402).
    """
    changes = ((brighter, brightness), (contrasted, contrast), (saturated, saturation))
    for change, amount in changes:
        factor = draws.uniform(max(0.0, 1 - amount), 1 + amount)
        view = change(view, factor) if amount else view
    turn = draws.uniform(-hue, hue)
    return turned(view, turn) if hue else view


def brightness(view: View, draws: Draws, amount: float = 0.4) -> View:
    """Multiply all pixels by a factor of 1 − `amount` to 1 + `amount`, at least 0."""
    return jitter(view, draws, amount, 0.0, 0.0)


def contrast(view: View, draws: Draws, amount: float = 0.4) -> View:
    """Multiply the distance of all pixels from the mean luma by a factor of 1 − `amount` to 1 + `amount`."""
    return jitter(view, draws, 0.0, amount, 0.0)


def saturation(view: View, draws: Draws, amount: float = 0.4) -> View:
    """Multiply the distance of each pixel from its own luma by a factor of 1 − `amount` to 1 + `amount`."""
    return jitter(view, draws, 0.0, 0.0, amount)


def hue(view: View, draws: Draws, amount: float = 0.1) -> View:
    """Turn the colours by up to `amount` of the circle; luma stays, but where a colour is cut to 0…255."""
    return jitter(view, draws, 0.0, 0.0, 0.0, amount)


def greyscale(view: View, draws: Draws, p: float = 0.2) -> View:
    """Take all colour out with probability `p`.

    Source: Chen et al., "A simple framework for contrastive learning", 2020 (arXiv 2002.05709).
    """
    return saturated(view, 0.0) if draws.chance(p) else view


def brighter(view: View, factor: float) -> View:
    """Return the view with pixels times `factor`."""
    return view.coloured(_affine(np.eye(3) * factor))


def contrasted(view: View, factor: float) -> View:
    """Return the view with pixels blended with its mean luma: 0 is flat grey, above 1 more contrast."""
    seen = view.settled()
    return seen.coloured(_affine(np.eye(3) * factor, (1 - factor) * seen.luma()))


def saturated(view: View, factor: float) -> View:
    """Return the view with pixels blended with their own luma: 0 is grey, above 1 stronger colour."""
    return view.coloured(_affine(np.eye(3) * factor + (1 - factor) * np.tile(LUMA, (3, 1))))


def turned(view: View, turn: float) -> View:
    """Return the view with hues turned by `turn` of the circle, in the plane of I and Q."""
    cosine, sine = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    rotation = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    return view.coloured(_affine(np.linalg.inv(_YIQ) @ rotation @ _YIQ))


def _affine(linear: np.ndarray, offset: float = 0.0) -> np.ndarray:
    return np.hstack([linear, np.full((3, 1), offset)])
