"""Noise of the sensor and of few photons, and broken pixels. Images are float64 0…1, `[h, w, C]`."""

import numpy as np


def gaussian_noise(image: np.ndarray, draw: np.random.Generator, scale: float) -> np.ndarray:
    """Return the image plus N(0, scale²) in every value."""
    return image + draw.normal(0.0, scale, image.shape)


def shot_noise(image: np.ndarray, draw: np.random.Generator, photons: float) -> np.ndarray:
    """Return Poisson(x · photons) / photons: white is `photons` photons on average."""
    return draw.poisson(image * photons) / photons


def impulse_noise(image: np.ndarray, draw: np.random.Generator, amount: float) -> np.ndarray:
    """Return the image with a share `amount` of its values black or white, each with probability ½."""
    hit = draw.random(image.shape) <= amount
    white = draw.random(image.shape) <= 0.5
    return np.where(hit, white.astype(np.float64), image)
