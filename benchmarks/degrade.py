"""Low light and haze made from good images by the physics of image formation, to measure what they cost.

Images are uint8 `[h, w, C]` and stay so; every draw comes from the generator that is handed in.
"""

import numpy as np

FULL_WELL = 10_000.0
"""Photoelectrons of a pixel that is just white: that of a phone's sensor."""
READ_NOISE = 5.0
"""Standard deviation of the noise of reading a pixel, in electrons."""


def low_light(pixels: np.ndarray, stops: float, draw: np.random.Generator) -> np.ndarray:
    """Expose an image `stops` stops less: 2⁻ˢᵗᵒᵖˢ of the light, with the noise that comes of it.

    Linear light x = decode(v) by sRGB's curve; electrons ~ Poisson(FULL_WELL · x · 2⁻ˢᵗᵒᵖˢ) plus
    N(0, READ_NOISE²), the Poissonian-Gaussian model of Foi et al., "Practical Poissonian-Gaussian
    noise modeling", IEEE TIP 2008; then back through sRGB's curve (IEC 61966-2-1) and rounded to 8 bits.
    """
    light = to_linear(pixels) * (FULL_WELL * 2.0**-stops)
    electrons = draw.poisson(light) + draw.normal(0.0, READ_NOISE, pixels.shape)
    return to_bytes(electrons / FULL_WELL)


def haze(pixels: np.ndarray, beta: float, airlight: float, depth: np.ndarray) -> np.ndarray:
    """Look at a scene through haze: I = J t + A (1 − t), t = exp(−β d), Koschmieder's law.

    As in the field's synthetic sets (Li et al., "Benchmarking Single Image Dehazing and Beyond" (RESIDE),
    IEEE TIP 2019, with A of 0.7…1 and β of 0.6…1.8), I and J are pixel values, not linear light.

    Args:
        pixels: uint8 `[h, w, C]`, J.
        beta: scattering coefficient, 0 or more, in 1 / unit of depth.
        airlight: A as a share of white, 0…1, the same in all channels.
        depth: `[h, w]`, d, positive.
    """
    transmission = np.exp(-beta * depth)[..., np.newaxis]
    hazy = pixels * transmission + 255.0 * airlight * (1.0 - transmission)
    return np.clip(hazy + 0.5, 0, 255).astype(np.uint8)


def scene_depth(height: int, width: int, draw: np.random.Generator) -> np.ndarray:
    """Return the depth of a made-up scene, float64 `[height, width]` of mean 1, about 0.5…1.5.

    Ground that recedes from the lower to the upper edge at a random slope, with a smooth hill or hollow.
    """
    rows = np.linspace(1.0, -1.0, height)[:, np.newaxis]
    columns = np.linspace(-1.0, 1.0, width)[np.newaxis]
    slope, tilt, hill = draw.uniform(0.1, 0.3), draw.uniform(-0.1, 0.1), draw.uniform(-0.15, 0.15)
    at_row, at_column = draw.uniform(-0.5, 0.5, 2)
    bump = np.exp(-2.0 * ((rows - at_row) ** 2 + (columns - at_column) ** 2))
    depth = 1.0 + slope * rows + tilt * columns + hill * (bump - bump.mean())
    return depth / depth.mean()


def to_linear(pixels: np.ndarray) -> np.ndarray:
    """Return linear light, float64 0…1, of sRGB bytes (IEC 61966-2-1)."""
    value = pixels / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_bytes(light: np.ndarray) -> np.ndarray:
    """Return sRGB bytes of linear light, which is clipped to 0…1; the inverse of `to_linear`."""
    light = np.clip(light, 0.0, 1.0)
    value = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (value * 255.0 + 0.5).astype(np.uint8)
