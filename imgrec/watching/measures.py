"""What an image is like, in three numbers that any camera, lamp or lens changes."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

BRIGHTNESS, CONTRAST, SHARPNESS = "brightness", "contrast", "sharpness"


def of(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return brightness, contrast and sharpness of one prepared image, uint8 `[H, W, 1 or 3]` in RGB.

    Mean and standard deviation of its luma, 0…255, and the logarithm of the variance of its Laplacian, which
    blur lowers (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000), divided by
    that of the luma: so that darkness is not taken for blur.
    """
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.shape[-1] == 3 else pixels[..., 0]
    mean, deviation = cv2.meanStdDev(luma)
    _, edges = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_32F))
    return {
        BRIGHTNESS: float(mean[0, 0]),
        CONTRAST: float(deviation[0, 0]),
        SHARPNESS: math.log1p(edges[0, 0] ** 2 / (deviation[0, 0] ** 2 + 1)),
    }
