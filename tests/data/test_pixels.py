import numpy as np
import pytest
from drawn import Set, many
from pictures import picture
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage, stats

from imgrec.data.augment import distort, pixels
from imgrec.data.augment.view import View

RNG = np.random.default_rng(0)
PICTURES = {
    "colours": picture(),
    "dark": picture() // 3 + 20,
    "noise": RNG.integers(0, 256, (30, 40, 3), np.uint8),
    "flat": np.full((12, 12, 3), 77, np.uint8),
    "two levels": np.where(picture() > 90, 200, 31).astype(np.uint8),
    "one pixel": np.full((1, 1, 3), 5, np.uint8),
    "tiny": picture(5, 4),
    "grey": picture()[..., :1].copy(),
}
EXACT = {
    "solarize": (pixels.solarize, ImageOps.solarize, [(0,), (1,), (127.5,), (128,), (255,), (256,)]),
    "posterize": (pixels.posterize, ImageOps.posterize, [(n,) for n in range(1, 9)]),
    "autocontrast": (pixels.autocontrast, ImageOps.autocontrast, [()]),
    "equalize": (pixels.equalize, ImageOps.equalize, [()]),
}


def image_of(array):
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("name", EXACT)
def test_tones_are_exactly_pillows(name, kind):
    ours, pillows, cases = EXACT[name]
    array = PICTURES[kind]
    for case in cases:
        result, expected = ours(array, *case), np.asarray(pillows(image_of(array), *case))
        assert result.shape == array.shape and result.dtype == np.uint8
        assert np.array_equal(result, expected.reshape(array.shape)), case


def test_posterize_to_no_bits_is_black():
    assert not pixels.posterize(picture(), 0).any()


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.7, 1.0, 1.6, 1.99])
def test_sharpness_is_pillows(kind, factor):
    array = PICTURES[kind]
    expected = np.asarray(ImageEnhance.Sharpness(image_of(array)).enhance(factor)).reshape(array.shape)
    # Pillow rounds the smoothed copy before it blends, and cuts fractions off afterwards.
    assert np.abs(pixels.sharpen(array, factor).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_blur_is_scipys_gaussian(sigma):
    array = picture()
    expected = ndimage.gaussian_filter(array.astype(float), (sigma, sigma, 0), mode="reflect", truncate=4.0)
    assert np.abs(distort.blurred(array, sigma) - expected).max() <= 1.5


def test_noise_is_gaussian_and_its_strength_is_drawn_evenly():
    grey = np.full((64, 64, 3), 128, np.uint8)
    added = distort.noise(View.of(grey), Set(0.8, 0.0), sigma=20.0).pixels() - 128.0
    # 16, and the variance 1/12 of rounding.
    assert added.std() == pytest.approx(np.sqrt(256 + 1 / 12), rel=0.02) and abs(added.mean()) < 0.5
    assert abs(stats.skew(added.ravel())) < 0.1 and abs(stats.kurtosis(added.ravel())) < 0.15
    found = [distort.noise(View.of(grey), draws, 10.0).pixels() for draws in many(300)]
    spread = np.array([np.std(one - 128.0) for one in found if (one != 128).any()])
    assert 115 < len(spread) < 175 and stats.kstest(spread / 10, "uniform").pvalue > 1e-3
    assert len({one.tobytes() for one in found}) == len(spread) + 1
    bright = distort.noise(View.of(np.full((32, 32, 1), 254, np.uint8)), Set(0.99, 0.0), 50.0).pixels()
    assert bright.shape == (32, 32, 1) and (bright == 255).mean() > 0.4  # cut, not wrapped around


def test_elastic_moves_pixels_by_its_field():
    array = np.repeat(np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], 60, 0), 3, -1)
    draws = next(iter(many(1)))
    draws.chance(0.5)
    field = distort.displacement(draws, (60, 60), 50.0, 5.0)
    moved = distort.elastic(View.of(array), next(iter(many(1))), 50.0, 5.0, p=1.0).pixels()
    # On a ramp of 4 levels a pixel, the shift to the right shows itself.
    shift = (moved[..., 0].astype(float) - array[..., 0]) / 4
    assert np.abs(shift - field[0])[:, 8:-8].max() < 0.2


def test_elastic_fields_have_the_spread_of_a_smoothed_uniform():
    fields = np.stack([distort.displacement(draws, (64, 64), 50.0, 4.0) for draws in many(20)])
    # The variance of U(−1, 1) is 1/3; a Gaussian of σ pixels in two directions leaves 1 / (4πσ²) of it.
    expected = 50 * np.sqrt(1 / 3 / (4 * np.pi * 16))
    assert fields[..., 16:-16, 16:-16].std() == pytest.approx(expected, rel=0.1)
    assert abs(fields.mean()) < 0.2


def test_erasing_hides_a_rectangle_of_the_share_it_draws():
    array = np.full((32, 40, 3), 7, np.uint8)
    shares, ratios, erased = [], [], 0
    for draws in many(1000):
        result = distort.erasing(View.of(array), draws, 0.6, (0.1, 0.3), (0.5, 2.0)).pixels()
        hidden = (result != 7).any(axis=-1)
        if not hidden.any():
            continue
        erased += 1
        rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
        high, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert hidden.mean() == pytest.approx(high * wide / 1280, abs=1e-3)
        shares.append(high * wide / 1280)
        ratios.append(np.log(high / wide) / np.log(2) / 2 + 0.5)
    assert stats.binomtest(erased, 1000, 0.6).pvalue > 1e-3
    assert np.mean(shares) == pytest.approx(0.2, abs=0.01)
    assert min(shares) > 0.08 and max(shares) < 0.33
    assert np.mean(ratios) == pytest.approx(0.5, abs=0.04) and 0.2 < np.std(ratios) < 0.36
    assert (array == 7).all()
    noise = distort.erasing(View.of(array), Set(0, 0.99, 0.5, 0, 0), area=(0.02, 1.0)).pixels()
    assert abs(noise[:30, :30].mean() - 127.5) < 4
