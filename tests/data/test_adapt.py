"""Adaptive steps against closed forms and slow second implementations; their triggers; their one line."""

import cv2
import numpy as np
import pytest
from pictures import picture

from benchmarks import degrade
from imgrec.data import adapt
from imgrec.data.adapt import grain, haze, light, statistics
from imgrec.errors import InputError


def noise(shape, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, shape, np.uint8)


def window(row, column, radius, shape):
    """The square around a pixel, cut at the edges."""
    return (
        slice(max(0, row - radius), min(shape[0], row + radius + 1)),
        slice(max(0, column - radius), min(shape[1], column + radius + 1)),
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("radius", [1, 3])
def test_dark_channel_is_the_minimum_over_channels_and_patch(channels, radius):
    pixels = noise((17, 23, channels))
    expected = [[pixels[window(r, c, radius, (17, 23))].min() for c in range(23)] for r in range(17)]
    assert np.array_equal(statistics.dark_channel(pixels, radius), expected)


def guided_filter(guide, source, radius, epsilon):
    slope, offset = haze.guided_coefficients(guide, source, radius, epsilon)
    return slope * guide + offset


def test_guided_filter_is_that_of_the_paper_computed_window_by_window():
    rng = np.random.default_rng(0)
    guide, source, radius, epsilon = rng.random((14, 19)), rng.random((14, 19)), 3, 1e-3
    slopes, offsets = np.empty_like(guide), np.empty_like(guide)
    for r in range(14):
        for c in range(19):
            i, p = guide[window(r, c, radius, guide.shape)], source[window(r, c, radius, guide.shape)]
            slopes[r, c] = ((i * p).mean() - i.mean() * p.mean()) / (i.var() + epsilon)
            offsets[r, c] = p.mean() - slopes[r, c] * i.mean()
    expected = np.array(
        [[slopes[w].mean() * guide[r, c] + offsets[w].mean() for c in range(19)
          for w in [window(r, c, radius, guide.shape)]] for r in range(14)]
    )  # fmt: skip
    assert np.abs(guided_filter(guide, source, radius, epsilon) - expected).max() < 1e-12


def test_guided_filter_keeps_what_is_linear_in_its_guide():
    guide = np.random.default_rng(1).random((30, 30))
    assert np.abs(guided_filter(guide, 3 * guide + 1, 4, 1e-12) - (3 * guide + 1)).max() < 1e-8
    assert np.abs(guided_filter(guide, np.full((30, 30), 0.7), 4, 1e-3) - 0.7).max() < 1e-12


def test_koschmieders_law_is_undone_where_the_prior_holds():
    """Every patch holds something black and a corner is sky, so airlight and transmission are known."""
    scene = noise((80, 80, 3), 2, 30, 220)
    scene[::3, ::3] = 0
    scene[:12] = 230
    depth = np.full((80, 80), 0.7)
    depth[:12] = 50.0
    hazy = degrade.haze(scene, 1.0, 0.9, depth)
    dark = statistics.dark_channel(hazy, statistics.patch_radius(hazy))
    found = haze.airlight(hazy, dark)
    assert np.abs(found - 0.9 * 255).max() <= 1
    t = haze.transmission(hazy, found, 4)[20:]
    true = np.exp(-0.7)
    assert np.abs(t - true).max() < 0.02
    mended = haze.dehaze(hazy)[30:].astype(float)
    off, left = np.abs(hazy[30:] - scene[30:].astype(float)).mean(), np.abs(mended - scene[30:]).mean()
    assert left < off / 10


def test_a_large_picture_is_dehazed_as_a_small_one():
    """At half the resolution for the coefficients, by the fast guided filter."""
    small = cv2.GaussianBlur(noise((300, 260, 3), 3), (0, 0), 6)
    small = degrade.haze(small, 1.0, 0.9, np.ones((300, 260)))
    large = cv2.resize(small, (520, 600), interpolation=cv2.INTER_LINEAR)
    again = cv2.resize(haze.dehaze(large), (260, 300), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(again - haze.dehaze(small)).mean() < 2


def test_exposure_is_a_factor_on_the_values():
    pixels = np.arange(101, dtype=np.uint8).reshape(-1, 1, 1).repeat(100, axis=1)
    assert statistics.bright(pixels) == 99
    expected = np.minimum(255, np.floor(pixels * (235 / 99) + 0.5))
    assert np.array_equal(light.expose(pixels), expected)


def test_gamma_brings_the_bright_level_to_its_target():
    pixels = np.arange(101, dtype=np.uint8).reshape(-1, 1, 1).repeat(100, axis=1)
    result = light.gamma(pixels)
    assert statistics.bright(result) == 235 and result[0, 0, 0] == 0
    exponent = np.log(235 / 255) / np.log(99 / 255)
    assert result[50, 0, 0] == round(255 * (50 / 255) ** exponent)


def test_equalisation_makes_levels_equally_frequent():
    """The level of a pixel becomes 255 times the share of pixels above the darkest level up to its own."""
    pixels = noise((64, 64, 1), 4, 40, 60)
    counts = np.bincount(pixels.ravel(), minlength=256)
    first = counts[pixels.min()]
    share = (counts.cumsum() - first) / (pixels.size - first)
    assert np.abs(light.equalize(pixels) - np.round(255 * share)[pixels]).max() <= 1


def test_clahe_equalises_a_histogram_whose_peaks_are_cut():
    """One tile, so no blending: what lies above twice the mean count is spread evenly over all levels."""
    pixels = noise((32, 32, 1), 5, 40, 60)
    counts = np.bincount(pixels.ravel(), minlength=256)
    limit = 2 * pixels.size // 256
    cut, excess = np.minimum(counts, limit), int(np.maximum(counts - limit, 0).sum())
    cut += excess // 256
    rest = excess % 256  # whole pixels, so every n-th level gets one more
    cut[: rest * (256 // rest) : 256 // rest] += 1
    table = 255 * cut.cumsum() / pixels.size
    assert np.abs(light.clahe(pixels) - table[pixels]).max() <= 0.5
    assert 0 < np.ptp(light.clahe(pixels)) < np.ptp(light.equalize(pixels))


def test_luma_steps_keep_the_colour_differences():
    pixels = (picture(64, 80) // 4).astype(np.uint8)
    for mend in (light.equalize, light.clahe):
        before, after = (p.astype(int) for p in (pixels, mend(pixels)))
        inside = (after > 0).all(axis=-1) & (after < 255).all(axis=-1)
        assert inside.mean() > 0.2
        for one, other in ((0, 1), (1, 2)):
            moved = (after[..., one] - after[..., other]) - (before[..., one] - before[..., other])
            assert np.abs(moved[inside]).max() <= 4


def test_contrast_stretch_and_standardisation():
    pixels = np.repeat(np.arange(100, 200, dtype=np.uint8), 100).reshape(100, 100, 1)
    stretched = light.stretch_contrast(pixels)
    assert stretched[0, 0, 0] == 0 and stretched[-1, 0, 0] == 255
    assert stretched[50, 0, 0] == round((150 - 100) * 255 / 98)
    values = (pixels - pixels.mean()) / pixels.std()
    assert np.array_equal(light.standardize(pixels), np.clip(np.floor(128 + 64 * values + 0.5), 0, 255))
    assert (light.standardize(np.full((9, 9, 3), 77, np.uint8)) == 128).all()
    # Whatever affine change of light an image has suffered, it is taken out, but for rounding.
    darker = (pixels // 2 + 10).astype(np.uint8)
    assert np.abs(light.standardize(darker).astype(int) - light.standardize(pixels)).max() <= 2


def test_white_balance_takes_a_tint_off():
    pixels = np.repeat(noise((40, 40, 1), 6, 20, 200), 3, axis=-1)
    tinted = np.floor(pixels * np.array([1.0, 0.8, 0.5]) + 0.5).astype(np.uint8)
    assert statistics.cast(tinted) > 30
    balanced = light.white_balance(tinted).astype(int)
    assert np.abs(balanced - balanced.mean(axis=-1, keepdims=True)).max() <= 2
    assert np.array_equal(light.white_balance(pixels[..., :1]), pixels[..., :1])


def test_noise_is_measured_and_taken_off():
    rng, clean = np.random.default_rng(7), np.full((200, 200, 3), 120.0)
    clean[:, 100:] = 60
    for sigma in (5, 20):
        # One draw for all channels, so that the luma has this noise.
        noisy = np.clip(clean + rng.normal(0, sigma, (200, 200, 1)) + 0.5, 0, 255).astype(np.uint8)
        assert statistics.noise(noisy) == pytest.approx(sigma, rel=0.05)
        assert np.abs(grain.denoise(noisy) - clean).mean() < 0.6 * np.abs(noisy - clean).mean()
    assert statistics.noise(np.full((2, 50, 1), 9, np.uint8)) == 0


def test_low_light_follows_its_formula():
    """Mean and variance of Poisson and Gauss in linear light, three stops under."""
    pixels = np.full((300, 300, 1), 200, np.uint8)
    dark = degrade.to_linear(degrade.low_light(pixels, 3, np.random.default_rng(0)))
    x = ((200 / 255 + 0.055) / 1.055) ** 2.4 / 8
    assert dark.mean() == pytest.approx(x, rel=0.01)
    electrons = degrade.FULL_WELL * x
    # Rounding to bytes adds the variance of a uniform step of this slope.
    step = (degrade.to_linear(np.array([87.0])) - degrade.to_linear(np.array([86.0])))[0]
    expected = (electrons + degrade.READ_NOISE**2) / degrade.FULL_WELL**2 + step**2 / 12
    assert dark.var() == pytest.approx(expected, rel=0.05)
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(degrade.to_bytes(degrade.to_linear(levels)), levels)


def test_haze_follows_koschmieder():
    hazy = degrade.haze(np.full((2, 2, 3), 40, np.uint8), 0.5, 0.8, np.full((2, 2), 2.0))
    assert (hazy == round(40 * np.exp(-1) + 204 * (1 - np.exp(-1)))).all()
    depth = degrade.scene_depth(50, 70, np.random.default_rng(0))
    assert depth.mean() == pytest.approx(1) and 0.4 < depth.min() < depth.max() < 1.6


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", adapt.STEPS)
def test_every_step_keeps_shape_type_and_input(name, channels):
    for shape in ((1, 1), (1, 9), (2, 2), (28, 28), (300, 40)):
        for pixels in (noise((*shape, channels)), np.zeros((*shape, channels), np.uint8)):
            before = pixels.copy()
            result = adapt.STEPS[name].mend(pixels)
            assert result.shape == pixels.shape and result.dtype == np.uint8
            assert np.array_equal(pixels, before)
            assert np.array_equal(result, adapt.STEPS[name].mend(pixels))


def test_triggers_look_at_the_light_and_not_at_the_background():
    """A well-lit thing on black is not dark, one on white is not hazy; three stops less and haze are."""
    thing = picture(96, 96)
    for ground in (0, 255):
        scene = np.full((160, 160, 3), ground, np.uint8)
        scene[32:128, 32:128] = thing
        assert adapt.apply(scene, adapt.AUTO)[1] == ()
        dark = degrade.low_light(scene, 3, np.random.default_rng(0))
        assert adapt.apply(dark, adapt.AUTO)[1] == ("lowlight",)
        hazy = degrade.haze(scene, 1.0, 0.85, np.ones((160, 160)))
        assert adapt.apply(hazy, adapt.AUTO)[1] == ("dehaze",)


def test_an_untriggered_picture_stays_bit_for_bit():
    result, fired = adapt.apply(picture(), "lowlight|dehaze|stretch|balance(255)|denoise(255)")
    assert fired == () and np.array_equal(result, picture())


def test_a_step_sees_what_the_one_before_it_left():
    dark = (picture() // 4).astype(np.uint8)
    assert adapt.apply(dark, "lowlight|gamma|equalize|stretch")[1] == ("lowlight",)
    assert adapt.apply(dark, "lowlight(10)|gamma|equalize")[1] == ("gamma",)
    assert adapt.apply(dark, "standardize|lowlight")[1] == ("standardize",)


def test_the_line_and_its_mistakes():
    assert adapt.canonical("none") == adapt.canonical("") == "none"
    assert adapt.canonical("auto") == adapt.canonical(adapt.AUTO) == "lowlight(128)|dehaze(72)"
    assert adapt.canonical(" dehaze( 80.5 ) |standardize") == "dehaze(80.5)|standardize"
    assert adapt.canonical(adapt.canonical("auto")) == adapt.canonical("auto")
    for line, message in (
        ("dehase", "unknown adaptive step 'dehase': did you mean dehaze"),
        ("lowlight,dehaze", "cannot be read at ',dehaze'"),
        ("lowlight|", "cannot be read at its end"),
        ("lowlight(1, 2)", "expected name or name"),
        ("lowlight(level=1)", "expected name or name"),
        ("lowlight(dark)", "threshold 'dark' of lowlight, expected a level of 0 to 255"),
        ("lowlight(300)", "expected a level of 0 to 255"),
        ("lowlight(1.2.3)", "expected a level of 0 to 255"),
        ("standardize(3)", "takes no threshold"),
        ("dehaze|lowlight|dehaze", "dehaze is named twice"),
    ):
        with pytest.raises(InputError, match=message):
            adapt.parse(line)
