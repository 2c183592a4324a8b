"""Noise averaged away over similar patches."""

import cv2
import numpy as np

from imgrec.data.adapt.statistics import noise


def denoise(pixels: np.ndarray) -> np.ndarray:
    """Return the non-local mean of uint8 `[h, w, 1|3]`, as strong as the image is noisy.

    Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005: patches of 5 pixels,
    searched for in 15; the filter's h is the noise that Immerkær's estimator finds. All channels are
    weighted alike.
    """
    strength = noise(pixels)
    if strength == 0.0:
        return pixels
    whole = np.ascontiguousarray(pixels)
    result = cv2.fastNlMeansDenoising(whole, h=strength, templateWindowSize=5, searchWindowSize=15)
    return result.reshape(pixels.shape)
