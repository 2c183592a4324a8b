"""Figures of a page: pictures, maps and curves as text that stands in it."""

import base64

import cv2
import numpy as np

from imgrec.evaluation import figures


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_small_pictures_are_kept_bit_for_bit() -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 20, 3), np.uint8)
    uri = figures.data_uri(image)
    assert uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(decoded(uri)[..., ::-1], image)


def test_large_pictures_are_scaled_down_in_proportion() -> None:
    for channels in (1, 3):
        image = np.full((600, 300, channels), (200, 30, 60)[:channels], np.uint8)
        uri = figures.data_uri(image)
        assert uri.startswith("data:image/jpeg;base64,")
        pixels = decoded(uri)
        assert pixels.shape[:2] == (224, 112)
        expected = (60, 30, 200) if channels == 3 else 200
        assert np.abs(pixels.astype(int) - expected).max() <= 3


def test_heat_map_shows_shares_as_opacity() -> None:
    pixels = decoded(figures.heat_map([[0, 0, 3], [0, 1, 1]], 2))
    assert pixels[..., 3].tolist() == [[round(255 * 0.75**0.5), round(255 * 0.25**0.5)], [0, 0]]
    assert tuple(pixels[0, 0, :3]) != tuple(pixels[0, 1, :3])


def test_curve_follows_the_page_s_colours() -> None:
    svg = figures.curve("loss", [1, 2, 3], {"training": [3.0, 2.0, 1.0], "validation": [3.0, None, 2.0]})
    assert svg.startswith('<svg role="img" aria-label="loss by epoch, 3 of them: training, validation"')
    assert "var(--val)" in svg and "var(--train)" in svg and "#00000" not in svg
    assert "http" not in svg
