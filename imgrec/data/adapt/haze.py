"""Haze taken off by the dark channel prior, its transmission refined by the guided filter.

He, Sun and Tang, "Single Image Haze Removal Using Dark Channel Prior", CVPR 2009 and PAMI 2011 (equation
numbers are those of PAMI); the refinement by He, Sun and Tang, "Guided Image Filtering", ECCV 2010, in place
of soft matting; on large images at a lower resolution, by He and Sun, "Fast Guided Filter", 2015
(arXiv 1505.00996).
"""

import cv2
import numpy as np

from imgrec.data.adapt.statistics import dark_channel, patch_radius, thinned
from imgrec.data.decode import to_colour

OMEGA = 1.0
"""Share of the haze that is taken off. The paper leaves a twentieth, for depth in the eye of a viewer; a
network that never saw haze takes it for a grey background: 0.95 gave .52, and 1 gave .88, on hazy validation
images of the sample that are recognised at .89 when clear."""
LOWEST = 0.1
"""The least transmission that is divided by, t₀ of eq. 22."""
EPSILON = 1e-3
"""Regularisation of the guided filter, for guides of 0…1."""


def dehaze(pixels: np.ndarray) -> np.ndarray:
    """Return the scene J of I = J t + A (1 − t), uint8 `[h, w, 1|3]` like the image I (eq. 22)."""
    small = thinned(pixels)
    radius = patch_radius(small)
    light = airlight(small, dark_channel(small, radius))
    t = transmission(small, light, radius)
    slope, offset = guided_coefficients(_guide(small), t, 4 * radius, EPSILON)
    if small.shape != pixels.shape:
        size = (pixels.shape[1], pixels.shape[0])
        slope, offset = (cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) for part in (slope, offset))
    refined = np.maximum(slope * _guide(pixels) + offset, LOWEST)[..., np.newaxis]
    scene = (pixels - light) / refined + light
    return np.clip(np.floor(scene + 0.5), 0, 255).astype(np.uint8)


def airlight(pixels: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """Return A, float64 `[C]` of 1…255: the mean colour where the dark channel has its brightest 0.1 %.

    Section 4.4 takes the brightest of these pixels; their mean does not hang on a single one's noise.
    """
    count = max(1, round(dark.size / 1000))
    threshold = np.partition(dark, -count, axis=None)[-count]
    return np.maximum(pixels[dark >= threshold].mean(axis=0, dtype=np.float64), 1.0)


def transmission(pixels: np.ndarray, light: np.ndarray, radius: int) -> np.ndarray:
    """Return the raw t = 1 − ω · dark channel of I / A, float64 `[h, w]` (eq. 12), in blocks of the patch."""
    relative = np.ascontiguousarray((pixels / light).min(axis=-1))
    return 1.0 - OMEGA * cv2.erode(relative, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))


def guided_coefficients(
    guide: np.ndarray, source: np.ndarray, radius: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean a and b of all windows over each pixel (ECCV 2010, eqs. 5, 6 and 8), float64 `[h, w]`.

    a · guide + b is `source`, smoothed so that its edges are those of `guide`, whose values are about 0…1.
    The square windows of `radius` end at the image's edges; an edge is kept where the guide's variance is
    above `epsilon`.
    """
    side = (2 * radius + 1, 2 * radius + 1)

    def total(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_64F, side, normalize=False, borderType=cv2.BORDER_CONSTANT)

    count = total(np.ones_like(guide))

    def mean(values: np.ndarray) -> np.ndarray:
        return total(values) / count

    mean_guide, mean_source = mean(guide), mean(source)
    covariance = mean(guide * source) - mean_guide * mean_source
    variance = mean(guide * guide) - mean_guide * mean_guide
    slope = covariance / (variance + epsilon)
    return mean(slope), mean(mean_source - slope * mean_guide)


def _guide(pixels: np.ndarray) -> np.ndarray:
    return to_colour(pixels, "grey")[..., 0] / 255.0
