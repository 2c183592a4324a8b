"""The corruptions against their published formulas, second implementations and each other."""

import io
import itertools
import math

import cv2
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from imgrec.data.corrupt import CORRUPTIONS, SEVERITIES, blur, corrupt, digital, generator, noise, weather
from imgrec.data.corrupt.constants import LARGE_IMAGES, SMALL_IMAGES
from imgrec.data.corrupt.textures import frost_texture, plasma
from imgrec.errors import InputError


def scene(height: int, width: int, channels: int) -> np.ndarray:
    """Smooth bumps with sharp edges and a little grain, of all brightnesses."""
    draw = np.random.default_rng(5)
    bumps = cv2.resize(draw.uniform(0, 1, (6, 6, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    bumps[height // 4 : height // 2, width // 4 : -width // 4] *= 0.4
    pixels = 255 * np.clip(bumps + draw.normal(0, 0.02, bumps.shape), 0, 1)
    return pixels.astype(np.uint8)[..., :channels]


FLAT = np.full((120, 100, 1), 0.5)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 35, 3), (97, 70, 1), (70, 100, 3)], ids=str)
def test_any_size_and_colour_gives_its_own_shape_and_the_same_pixels_again(
    name: str, shape: tuple[int, int, int]
) -> None:
    image = scene(*shape)
    kept = image.copy()
    for severity in SEVERITIES:
        made = corrupt(image, name, severity, seed=3, key="a/1.png")
        assert made.shape == shape and made.dtype == np.uint8
        np.testing.assert_array_equal(made, corrupt(image, name, severity, seed=3, key="a/1.png"))
    np.testing.assert_array_equal(image, kept)
    assert (made != image).any()


DRAWN = sorted(set(CORRUPTIONS) - {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg"})


@pytest.mark.parametrize("name", DRAWN)
def test_draws_follow_from_seed_and_key(name: str) -> None:
    image = scene(48, 48, 3)
    one = corrupt(image, name, 5, seed=1, key="a")
    assert (one != corrupt(image, name, 5, seed=1, key="b")).any()
    assert (one != corrupt(image, name, 5, seed=2, key="a")).any()


EXCEPTIONS = {
    # The published constants themselves: reach, rounds and sigma of glass, field and affinity of elastic and
    # the share of the image that frost keeps go up and down.
    32: {"elastic", "glass_blur", "frost"},
    224: {"elastic", "frost"},
}


@pytest.mark.parametrize("side", EXCEPTIONS)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_higher_severity_is_not_nearer_to_the_image(name: str, side: int) -> None:
    image = scene(side, side, 3)
    far = [
        np.mean(
            [np.abs(corrupt(image, name, severity, key=k) - image.astype(float)).mean() for k in range(3)]
        )
        for severity in SEVERITIES
    ]
    if name not in EXCEPTIONS[side]:
        assert far[0] < far[4] and all(0.9 * low < high for low, high in itertools.pairwise(far)), far
    assert far[0] > 0.2


def test_every_corruption_has_five_rows_of_constants_for_both_sizes() -> None:
    for table in (SMALL_IMAGES, LARGE_IMAGES):
        assert list(table) == list(CORRUPTIONS)
        assert all(len(rows) == 5 for rows in table.values())


@pytest.mark.parametrize("scale", [0.04, 0.1])
def test_gaussian_noise_has_its_deviation(scale: float) -> None:
    added = noise.gaussian_noise(FLAT, generator(0, 0), scale) - FLAT
    assert added.std() == pytest.approx(scale, rel=0.03) and abs(added.mean()) < 4 * scale / 100


@pytest.mark.parametrize("photons", [3, 60])
def test_shot_noise_has_the_variance_of_counted_photons(photons: int) -> None:
    made = noise.shot_noise(FLAT, generator(0, 0), photons)
    assert made.mean() == pytest.approx(0.5, rel=0.05)
    assert made.var() == pytest.approx(0.5 / photons, rel=0.06)
    np.testing.assert_allclose(made * photons, np.rint(made * photons), atol=1e-9)


def test_impulse_noise_breaks_its_share_of_values_half_of_them_white() -> None:
    made = noise.impulse_noise(np.full((200, 200, 3), 0.5), generator(0, 0), 0.27)
    assert (made == 1).mean() == pytest.approx(0.135, abs=0.005)
    assert (made == 0).mean() == pytest.approx(0.135, abs=0.005)


def test_contrast_is_the_published_formula() -> None:
    image = scene(80, 90, 3)
    x = image / 255
    means = x.mean(axis=(0, 1))
    for severity, kept in zip(SEVERITIES, (0.4, 0.3, 0.2, 0.1, 0.05), strict=True):
        expected = np.rint(255 * ((x - means) * kept + means))
        np.testing.assert_array_equal(corrupt(image, "contrast", severity), expected)


def test_brightness_adds_to_the_value_of_hsv() -> None:
    x = scene(70, 70, 3) / 255
    x[:4] = 0  # black has no hue
    hsv = cv2.cvtColor(x.astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.minimum(hsv[..., 2] + 0.3, 1)
    expected = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    np.testing.assert_allclose(weather.brightness(x, generator(0, 0), 0.3), expected, atol=2e-4)


@pytest.mark.parametrize("sigma", [0.25, 0.4, 1.5, 6.0])
@pytest.mark.parametrize(
    ("cut", "border", "mode"), [(4, cv2.BORDER_REPLICATE, "nearest"), (3, cv2.BORDER_REFLECT, "reflect")]
)
def test_gaussians_are_those_of_scipy(sigma: float, cut: int, border: int, mode: str) -> None:
    image = scene(30, 40, 3) / 255
    expected = scipy.ndimage.gaussian_filter(image, (sigma, sigma, 0), mode=mode, truncate=cut)
    np.testing.assert_allclose(blur.blurred(image, sigma, cut, border), expected, atol=1e-6)


@pytest.mark.parametrize("factor", [1.01, 1.05, 1.25, 2.25, 4.5])
def test_zoom_is_that_of_scipy(factor: float) -> None:
    image = scene(32, 32, 3) / 255
    part = math.ceil(32 / factor)
    top = (32 - part) // 2
    whole = scipy.ndimage.zoom(image[top : top + part, top : top + part], (factor, factor, 1), order=1)
    trim = (whole.shape[0] - 32) // 2
    expected = whole[trim : trim + 32, trim : trim + 32]
    np.testing.assert_allclose(blur.zoomed(image, factor), expected, atol=1e-9)


def test_zoom_blur_is_the_mean_of_the_image_and_all_enlargements() -> None:
    image = scene(70, 80, 1) / 255
    factors = [1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12, 1.14, 1.16, 1.18, 1.2]
    expected = (image + sum(blur.zoomed(image, factor) for factor in factors)) / 12
    np.testing.assert_allclose(blur.zoom_blur(image, generator(0, 0), 1.21, 0.02), expected, atol=1e-9)


@pytest.mark.parametrize("radius", [1.5, 3, 10])
def test_the_disc_of_defocus_sums_to_one_and_is_round(radius: float) -> None:
    kernel = blur.disc(radius, 0.5)
    # Above 8 px the published kernel ends at the disc, and smoothing mirrors its rim: 1 % more light.
    assert kernel.sum() == pytest.approx(1, abs=1e-5 if radius <= 8 else 0.012)
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-7)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)
    inside = (kernel > kernel.max() / 2).sum()
    assert inside == pytest.approx(np.pi * radius**2, rel=0.35 if radius < 3 else 0.15)


@pytest.mark.parametrize(("angle", "step"), [(0.0, (0, 1)), (-90.0, (-1, 0)), (45.0, (1, 1))])
def test_motion_smears_a_point_along_its_angle_by_half_a_gaussian(
    angle: float, step: tuple[int, int]
) -> None:
    image = np.zeros((41, 41, 1))
    image[20, 20] = 1
    made = blur.moved(image, 6, 2.0, angle)[..., 0]
    weights = np.exp(-(np.arange(13.0) ** 2) / 8)
    weights /= weights.sum()
    # A correlation: a pixel looks ahead along the angle, so the point is seen by those behind it.
    places = [(20 - step[0] * k, 20 - step[1] * k) for k in range(13)]
    if angle == 45.0:
        assert made.sum() == pytest.approx(1) and made[20, 20] == pytest.approx(weights[0])
        assert made[19, 19] == pytest.approx(weights[1] + weights[2], abs=0.2)
        assert np.abs(made[21:, 21:]).max() < 1e-12
    else:
        np.testing.assert_allclose([made[place] for place in places], weights, atol=1e-12)


def test_glass_swaps_pixels_as_a_plain_loop_does() -> None:
    image = scene(24, 20, 3) / 255
    made = blur.glass_blur(image, generator(1, 2), 0.05, 2, 3)
    draw, expected = generator(1, 2), np.rint(image * 255) / 255
    for _ in range(3):
        offsets = draw.integers(-2, 2, (2, 20, 16))
        for i, h in enumerate(range(22, 2, -1)):
            for j, w in enumerate(range(18, 2, -1)):
                y, x = h + offsets[0, i, j], w + offsets[1, i, j]
                expected[h, w], expected[y, x] = expected[y, x].copy(), expected[h, w].copy()
    np.testing.assert_allclose(made, expected, atol=1e-12)


def test_plasma_is_rough_and_fills_its_range() -> None:
    rough, smooth = (plasma(generator(0, 0), 64, decay) for decay in (1.4, 3.0))
    for heights in (rough, smooth):
        assert heights.shape == (64, 64) and heights.min() == 0 and heights.max() == 1
    assert np.abs(np.diff(rough)).mean() > 3 * np.abs(np.diff(smooth)).mean()


def test_fog_keeps_the_brightest_value_possible() -> None:
    image = scene(64, 64, 1) / 255
    made = weather.fog(image, generator(0, 0), 1.5, 1.75)
    mist = plasma(generator(0, 0), 64, 1.75)[..., None]
    most = image.max()
    np.testing.assert_allclose(made, (image + 1.5 * mist) * most / (most + 1.5), atol=1e-12)
    assert made.max() <= most


def test_frost_adds_ice_that_is_the_same_every_time() -> None:
    image = np.zeros((40, 30, 3))
    made = weather.frost(image, generator(0, 0), 0.75, 0.45, 0.2)
    assert 0.02 < made.mean() < 0.4 and made[..., 2].mean() > made[..., 0].mean()
    assert frost_texture(0, 0.2, 40).shape == (205, 205, 3)
    assert frost_texture(0, 0.2, 300).shape == (300, 300, 3)
    assert np.abs(frost_texture(0, 0.2, 40) - frost_texture(1, 0.2, 40)).mean() > 0.03


def test_pixelate_and_jpeg_are_those_of_pillow() -> None:
    image = scene(90, 100, 3)
    small = Image.fromarray(image).resize((40, 36), Image.Resampling.BOX)
    expected = small.resize((100, 90), Image.Resampling.BOX)
    np.testing.assert_array_equal(corrupt(image, "pixelate", 3), np.asarray(expected))
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=10)
    np.testing.assert_array_equal(corrupt(image, "jpeg", 4), np.asarray(Image.open(stream)))


def test_elastic_is_the_published_formula() -> None:
    image = scene(48, 40, 3) / 255
    np.testing.assert_allclose(digital.elastic(image, generator(0, 0), 0, 0, 0), image, atol=1e-6)
    draw = generator(7, 1)
    draw.uniform(-0.0, 0.0, (3, 2))
    down, right = (
        4 * scipy.ndimage.gaussian_filter(noise, 1.6, mode="reflect", truncate=3)
        for noise in draw.uniform(-1, 1, (2, 48, 40))
    )
    rows, columns, channels = np.mgrid[:48, :40, :3]
    places = np.stack([rows + down[..., None], columns + right[..., None], channels])
    expected = scipy.ndimage.map_coordinates(image, places, order=1, mode="reflect")
    np.testing.assert_allclose(digital.elastic(image, generator(7, 1), 0.1, 0.04, 0), expected, atol=1e-5)


def test_the_affinity_of_elastic_moves_points_by_its_tilt_at_most() -> None:
    image = np.zeros((64, 64, 1))
    image[40:43, 40:43] = 1  # about a corner of the square that is moved: 32 + 21
    at = np.array(scipy.ndimage.center_of_mass(digital.elastic(image, generator(3, 1), 0, 0, 0.05)[..., 0]))
    assert 0 < np.abs(at - 41).max() < 3 * 0.05 * 64


@pytest.mark.parametrize(
    ("image", "name", "severity", "told"),
    [
        (scene(32, 32, 3), "gausian_noise", 1, "did you mean gaussian_noise"),
        (scene(32, 32, 3), "fog", 6, "severity 6: expected a whole number from 1 to 5"),
        (scene(15, 32, 3), "fog", 1, "15 × 32 px: corruptions need 16 px or more"),
        (scene(32, 32, 3) / 255, "fog", 1, "float64"),
        (scene(32, 32, 3)[..., 0], "fog", 1, "expected uint8"),
    ],
)
def test_what_cannot_be_corrupted_is_refused(image: np.ndarray, name: str, severity: int, told: str) -> None:
    with pytest.raises(InputError, match=told):
        corrupt(image, name, severity)
