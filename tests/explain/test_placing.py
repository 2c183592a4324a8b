"""A map comes back to the place of the original picture that it was about."""

import numpy as np
import pytest

from imgrec.data.preprocess import Preprocess
from imgrec.explain import overlay

PREPARED = [
    Preprocess((32, 32), "grey", "crop"),
    Preprocess((32, 32), "grey", "crop", crop_fraction=0.875),
    Preprocess((32, 32), "grey", "letterbox", fill=0),
    Preprocess((32, 48), "grey", "stretch"),
]


@pytest.mark.parametrize("preprocess", PREPARED, ids=lambda p: f"{p.resize}-{p.crop_fraction}")
@pytest.mark.parametrize("size", [(90, 130), (130, 90), (20, 31), (32, 32)])
def test_a_spot_comes_back_to_where_it_is(preprocess: Preprocess, size: tuple[int, int]) -> None:
    """What the model sees of a white spot, taken for a map, lies on the spot again."""
    height, width = size
    original = np.zeros((height, width, 1), np.uint8)
    # Off the middle, and within what a crop keeps of either orientation.
    row, column = round(height * 0.45), round(width * 0.55)
    reach = max(1, min(size) // 10)
    original[row - reach : row + reach, column - reach : column + reach] = 255
    seen = preprocess.on_array(original)[..., 0].astype(np.float32)
    back = overlay.brought_back(seen, preprocess.placed(height, width), size)
    weights = np.nan_to_num(back)
    rows, columns = np.indices(size) + 0.5
    # A pixel of the model's picture is up to four of the original here.
    assert (rows * weights).sum() / weights.sum() == pytest.approx(row, abs=0.6)
    assert (columns * weights).sum() / weights.sum() == pytest.approx(column, abs=0.6)


def test_what_a_crop_leaves_out_is_unknown() -> None:
    preprocess = Preprocess((32, 32), "grey", "crop")
    back = overlay.brought_back(np.ones((32, 32)), preprocess.placed(64, 128), (64, 128))
    np.testing.assert_array_equal(np.isnan(back), np.broadcast_to(abs(np.arange(128) - 63.5) > 32, (64, 128)))


def test_the_bars_of_a_letterbox_are_no_part_of_the_picture() -> None:
    preprocess = Preprocess((32, 32), "grey", "letterbox")
    values = np.zeros((32, 32))
    values[:8] = values[24:] = 1  # what lies on the bars
    back = overlay.brought_back(values, preprocess.placed(64, 128), (64, 128))
    assert not np.isnan(back).any()
    # But for the blend of the pixels on the edge.
    assert back[4:-4].max() == 0


def test_no_heat_leaves_the_picture_as_it_is_and_the_unseen_is_darker() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    np.testing.assert_array_equal(overlay.painted(pixels, np.zeros((40, 50))), pixels)
    heat = np.full((40, 50), np.nan)
    assert overlay.painted(pixels, heat).mean() == pytest.approx(overlay.UNSEEN * pixels.mean(), rel=0.02)
    hot = overlay.painted(pixels, np.ones((40, 50)))
    assert np.ptp(hot, axis=(0, 1)).max() <= 255 * (1 - overlay.OPACITY) + 2


def test_strength_is_a_share_of_the_highest() -> None:
    values = np.array([[-3.0, 0.0, 1.0, 4.0]])
    np.testing.assert_allclose(overlay.strength(values), [[0, 0, 0.25, 1]])
    assert not overlay.strength(-np.ones((3, 3))).any()
    spread = np.arange(100.0).reshape(10, 10)
    assert (overlay.strength(spread, 0.1) == 1).sum() == 10


def test_small_pictures_are_enlarged_by_whole_numbers_and_large_ones_kept() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 30, 1), np.uint8)
    heat = np.zeros((28, 30))
    heat[:, :10] = np.nan
    larger, smooth = overlay.enlarged(pixels, heat)
    assert larger.shape == (280, 300, 1) and smooth.shape == (280, 300)
    np.testing.assert_array_equal(larger[::10, ::10], pixels)
    np.testing.assert_array_equal(np.isnan(smooth)[::10, ::10], np.isnan(heat))
    photo = np.zeros((300, 400, 3), np.uint8)
    assert overlay.enlarged(photo, np.zeros((300, 400)))[0] is photo


@pytest.mark.parametrize("width", [256, 300, 1001])
def test_the_legend_stands_below_in_the_picture_s_width(width: int) -> None:
    picture = np.zeros((256, width, 3), np.uint8)
    whole = overlay.with_legend(picture, ["ein sehr langer Name " * 9, "猫 $x_1$ \udce9"], "none … most")
    np.testing.assert_array_equal(whole[:256], picture)
    strip = whole[256:]
    assert strip.shape[1] == width and 20 < strip.shape[0] < 256
    assert strip[:, -2:].min() == 255, "letters are cut off"
    assert strip.min() < 60, "nothing is written"
