import colorsys

import numpy as np
import pytest
from drawn import Set, many
from pictures import picture
from PIL import Image, ImageEnhance
from scipy import stats

from imgrec.data.augment import colour
from imgrec.data.augment.view import View

FACTORS = (0.0, 0.1, 0.55, 1.0, 1.3, 1.9)
ENHANCERS = {
    "brightness": (colour.brighter, ImageEnhance.Brightness),
    "contrast": (colour.contrasted, ImageEnhance.Contrast),
    "saturation": (colour.saturated, ImageEnhance.Color),
}


def of_channels(channels):
    return np.ascontiguousarray(picture()[..., :channels])


def difference(ours, reference):
    return np.abs(ours.astype(int) - np.asarray(reference).reshape(ours.shape).astype(int)).max()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ENHANCERS)
def test_factors_are_pillows(name, channels):
    change, enhancer = ENHANCERS[name]
    pixels = of_channels(channels)
    image = Image.fromarray(pixels.squeeze())
    for factor in FACTORS:
        ours = change(View.of(pixels), factor).pixels()
        # Pillow cuts fractions off where we round, and rounds the luma before it blends.
        assert difference(ours, enhancer(image).enhance(factor)) <= (2 if name == "saturation" else 1)
    assert np.array_equal(change(View.of(pixels), 1.0).pixels(), pixels)


@pytest.mark.parametrize("turn", [-0.4, 0.05, 0.25, 0.5])
def test_hue_turns_in_the_plane_of_colorsys_yiq(turn):
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 160, (8, 8, 3)).astype(np.uint8)
    ours = colour.turned(View.of(pixels), turn).pixels()
    angle = 2 * np.pi * turn
    for before, after in zip(pixels.reshape(-1, 3), ours.reshape(-1, 3), strict=True):
        y, i, q = colorsys.rgb_to_yiq(*(before / 255))
        i, q = i * np.cos(angle) - q * np.sin(angle), i * np.sin(angle) + q * np.cos(angle)
        # colorsys has two digits of each coefficient.
        assert np.abs(np.array(colorsys.yiq_to_rgb(y, i, q)) * 255 - after).max() < 3.0
        assert abs(float(colour.LUMA @ before) - float(colour.LUMA @ after)) < 1.0


def test_hue_and_saturation_leave_grey_alone():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    for change, amount in ((colour.turned, 0.3), (colour.saturated, 0.2), (colour.saturated, 1.9)):
        assert difference(change(View.of(grey), amount).pixels(), grey) <= 1
        one = np.ascontiguousarray(grey[..., :1])
        assert difference(change(View.of(one), amount).pixels(), one) <= 1


def test_four_changes_are_one_matrix(monkeypatch):
    from imgrec.data.augment import view as module

    pixels = np.clip(picture(40, 40), 90, 160)
    calls, transform = [], module.cv2.transform
    monkeypatch.setattr(module.cv2, "transform", lambda *a: calls.append(1) or transform(*a))
    view = colour.jitter(View.of(pixels), Set(0.75, 0.25, 0.9, 0.6), 0.2, 0.2, 0.3, 0.1)
    ours = view.pixels()
    assert len(calls) == 1
    # Brightness 1.1, contrast 0.9, saturation 1.24, hue 0.02, in float64 one after the other.
    x = pixels * 1.1
    x = 0.9 * x + 0.1 * (x @ colour.LUMA).mean()
    x = 1.24 * x - 0.24 * (x @ colour.LUMA)[..., None]
    x = x @ colour.turned(View.of(pixels), 0.02).colour[:, :3].T
    assert np.abs(ours - x).max() <= 0.6


def test_contrast_is_about_the_mean_of_what_is_seen():
    half = np.zeros((10, 10, 3), np.uint8)
    half[:, 5:] = 200
    seen = View.of(half).moved((1, 0, 5, 0, 1, 0), size=(10, 5))
    assert (colour.contrasted(seen, 0.0).pixels() == 200).all()
    assert (colour.contrasted(View.of(half), 0.0).pixels() == 100).all()
    darker = colour.brighter(View.of(half), 0.5)
    assert (colour.contrasted(darker, 0.0).pixels() == 50).all()


def test_a_move_after_colours_does_not_colour_the_border():
    grey = np.full((9, 9, 3), 100, np.uint8)
    view = colour.brighter(View.of(grey), 0.5).moved((1, 0, -3, 0, 1, 0), 200)
    assert (view.pixels()[:, :3] == 200).all() and (view.pixels()[:, 3:] == 50).all()


def test_jitter_draws_evenly_and_zero_amounts_change_nothing():
    view = View.of(np.full((2, 2, 3), 100, np.uint8))
    factors = np.array([colour.brightness(view, draws, 0.4).colour[0, 0] for draws in many(2000)])
    assert stats.kstest((factors - 0.6) / 0.8, "uniform").pvalue > 1e-3
    assert colour.jitter(view, Set(0.1, 0.1, 0.1, 0.1), 0, 0, 0, 0).colour is None
    greyed = [colour.greyscale(view, draws, 0.2).colour is not None for draws in many(2000)]
    assert stats.binomtest(sum(greyed), 2000, 0.2).pvalue > 1e-3
