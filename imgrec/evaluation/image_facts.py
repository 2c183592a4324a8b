"""What images are like, in numbers that their slices are cut by."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imgrec.data.adapt.statistics import luma, thinned
from imgrec.data.loading import each_image
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.phrases import Phrase


def image_facts(split: Split, preprocess: Preprocess) -> dict[str, NDArray[np.float64]]:
    """Return brightness, contrast, sharpness and shorter side of each image, float64 `[N]` each.

    Those in which all images are equal, such as the side of a set of one size, are left out.

    Raises:
        InputError: an image cannot be read any more.
    """
    target = min(preprocess.shape[:2])
    rows = np.array(each_image(split, preprocess, lambda pixels: _facts(pixels, target)))
    names = Phrase("brightness"), Phrase("contrast"), Phrase("sharpness"), Phrase("shorter side")
    return {name: column for name, column in zip(names, rows.T, strict=True) if np.ptp(column) > 0}


def _facts(pixels: NDArray[np.uint8], target: int) -> tuple[float, float, float, float]:
    """Return mean and deviation of luma, sharpness, and shorter side in pixels.

    Sharpness is the variance of the Laplacian of luma (Pech-Pacheco et al., "Diatom autofocusing in
    brightfield microscopy", ICPR 2000), over the image reduced to about the size that the model sees, so that
    a large file does not count as blurred.
    """
    levels = luma(thinned(pixels))
    shorter = min(pixels.shape[:2])
    seen = np.ascontiguousarray(luma(pixels))
    if shorter > target:
        scale = target / shorter
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        seen = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    sharpness = float(cv2.Laplacian(seen, cv2.CV_64F).var())
    return float(levels.mean()), float(levels.std()), sharpness, float(shorter)
