import math

import numpy as np
import pytest
from drawn import Set, many
from pictures import picture
from PIL import Image
from scipy import stats

from imgrec.data.augment import affine
from imgrec.data.augment.view import IDENTITY, View, product
from imgrec.data.resize import stretch


def smooth(height=61, width=83):
    y, x = np.mgrid[:height, :width]
    planes = [127 + 100 * np.sin(x / 9 + c) * np.cos(y / 7 + c) for c in range(3)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def pillow(pixels, matrix, size, fill=0, resample=Image.Resampling.BILINEAR):
    """The same matrix by Pillow: it too takes the centre of an output pixel to a point of the image."""
    image = Image.fromarray(pixels.squeeze() if pixels.shape[-1] == 1 else pixels)
    colour = fill if pixels.shape[-1] == 1 else (fill,) * 3
    result = image.transform(size[::-1], Image.Transform.AFFINE, matrix, resample, fillcolor=colour)
    return np.asarray(result).reshape(*size, pixels.shape[-1])


def inside(matrix, pixels, size, margin=1.5):
    """Bool [H, W]: output pixels that see only the inside of the image."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    a, b, c, d, e, f = matrix
    u, v = a * x + b * y + c, d * x + e * y + f
    height, width = pixels.shape[:2]
    return (u > margin) & (u < width - margin) & (v > margin) & (v < height - margin)


def outside(matrix, pixels, size):
    return ~inside(matrix, pixels, size, margin=-1.5)


MOVES = {
    "rotate": (affine.rotate, (0.9,), {"degrees": 40.0}),
    "shear": (affine.shear, (0.9, 0.2), {"degrees": 20.0}),
    "translate": (affine.translate, (0.8, 0.1), {"share": 0.3}),
    "scale": (affine.scale, (0.05,), {"low": 0.85, "high": 1.2}),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", MOVES)
def test_moves_are_pillows_affine_transform(name, channels):
    operation, drawn, arguments = MOVES[name]
    pixels = np.ascontiguousarray(smooth()[..., :channels])
    view = operation(View.of(pixels), Set(*drawn), **arguments, border=77)
    ours, reference = view.pixels(), pillow(pixels, view.matrix, view.size, 77)
    seen = inside(view.matrix, pixels, view.size)
    assert seen.mean() > 0.4
    assert np.abs(ours.astype(int) - reference)[seen].max() <= 2
    assert (ours[outside(view.matrix, pixels, view.size)] == 77).all()


def test_rotation_is_pillows_and_anticlockwise():
    pixels = smooth(64, 64)
    ours = View.of(pixels).moved(affine.about_centre(affine.rotation(25), (64, 64)), 0).pixels()
    reference = np.asarray(Image.fromarray(pixels).rotate(25, Image.Resampling.BILINEAR))
    difference = np.abs(ours.astype(int) - reference)[12:52, 12:52]
    assert difference.max() <= 2
    quarter = View.of(pixels).moved(affine.about_centre(affine.rotation(90), (64, 64))).pixels()
    assert np.abs(quarter.astype(int) - np.rot90(pixels)).max() <= 1


def test_all_moves_together_are_one_resample(monkeypatch):
    from imgrec.data.augment import view as module

    pixels, view = smooth(), View.of(smooth(), 30)
    matrix = np.eye(3)
    for operation, drawn, arguments in MOVES.values():
        alone = operation(View.of(pixels), Set(*drawn), **arguments).matrix
        matrix = matrix @ np.vstack([np.reshape(alone, (2, 3)), [0, 0, 1]])
        view = operation(view, Set(*drawn), **arguments)
    view = affine.flip(affine.crop(view, Set(0.1, 0.9), size=(50, 60), pad=3), Set(0.2))
    calls = []
    warp = module.cv2.warpAffine
    monkeypatch.setattr(module.cv2, "warpAffine", lambda *a, **k: calls.append(1) or warp(*a, **k))
    ours = view.pixels()
    assert len(calls) == 1 and ours.shape == (50, 60, 3)
    # Pad 3 around 61 × 83, at the 1st of 18 and the 27th of 30 places, then mirrored.
    top, left = int(0.1 * 18) - 3, int(0.9 * 30) - 3
    matrix = matrix @ [[-1, 0, left + 60], [0, 1, top], [0, 0, 1]]
    np.testing.assert_allclose(view.matrix, matrix[:2].ravel(), atol=1e-9)
    seen = inside(view.matrix, pixels, view.size)
    reference = pillow(pixels, view.matrix, view.size, 30)
    assert seen.mean() > 0.3 and np.abs(ours.astype(int) - reference)[seen].max() <= 2


def test_shrinking_averages_what_a_pixel_covers():
    pixels = picture(300, 400)
    for shrink in (2.5, 3.5, 4.0):
        size = (int(200 / shrink), int(280 / shrink))
        turned = product(affine.rotation(8), (shrink, 0, 0, 0, shrink, 0))
        view = View.of(pixels).moved(product((1, 0, 30, 0, 1, 60), turned), size=size)
        # Sixteen by sixteen points of each pixel, averaged.
        fine = product(view.matrix, (1 / 16, 0, 0, 0, 1 / 16, 0))
        points = pillow(pixels, fine, (size[0] * 16, size[1] * 16), 0, Image.Resampling.BILINEAR)
        covered = points.reshape(size[0], 16, size[1], 16, 3).mean(axis=(1, 3))
        seen = inside(view.matrix, pixels, size, 5)
        point = pillow(pixels, view.matrix, size)
        error, alone = (np.abs(x - covered)[seen].mean() for x in (view.pixels(), point))
        assert seen.mean() > 0.6 and error < 2.2 and error < 0.6 * alone, (shrink, error, alone)


@pytest.mark.parametrize(("size", "most"), [((224, 160), 0.5), ((100, 100), 2.0), ((40, 60), 6.0)])
def test_crops_are_resized_much_as_testing_resizes(size, most):
    # The larger the shrink, the more testing's triangle smooths beyond the mean of what a pixel covers.
    pixels = smooth(333, 444)
    view = affine.resized_crop(View.of(pixels), Set(0.5, 0.5, 0.3, 0.4), size)
    a, _, left, _, e, top = view.matrix
    box = np.rint([top, top + e * size[0], left, left + a * size[1]]).astype(int)
    expected = stretch(pixels[box[0] : box[1], box[2] : box[3]], size)
    assert np.abs(view.pixels().astype(int) - expected).mean() < most


def test_flips_and_crops_move_whole_pixels():
    pixels = picture(20, 30)
    assert np.array_equal(affine.flip(View.of(pixels), Set(0.4)).pixels(), pixels[:, ::-1])
    assert affine.flip(View.of(pixels), Set(0.6)).pixels() is pixels
    assert np.array_equal(affine.flip_vertical(View.of(pixels), Set(0.1)).pixels(), pixels[::-1])
    both = affine.flip(affine.flip_vertical(View.of(pixels), Set(0.1)), Set(0.1)).pixels()
    assert np.array_equal(both, pixels[::-1, ::-1])
    for border, mode in (("reflect", {"mode": "reflect"}), (9, {"constant_values": 9})):
        padded = np.pad(pixels, ((4, 4), (4, 4), (0, 0)), **mode)
        for drawn in ((0.0, 0.0), (0.99, 0.5), (0.5, 0.99)):
            cut = affine.crop(View.of(pixels), Set(*drawn), (20, 30), 4, border).pixels()
            top, left = (int(value * 9) for value in drawn)
            assert np.array_equal(cut, padded[top : top + 20, left : left + 30])
    bare = affine.crop(View.of(pixels), Set(0.5, 0.5), (10, 10), 0).pixels()
    assert np.array_equal(bare, pixels[5:15, 10:20])


def test_a_view_left_alone_is_the_picture():
    pixels = picture(20, 30)
    view = View.of(pixels)
    assert view.matrix == IDENTITY and view.pixels() is pixels


@pytest.mark.parametrize("shape", [(40, 60), (1, 50), (50, 1), (1, 1), (300, 7), (4000, 3)])
def test_every_shape_can_be_cropped_and_turned(shape):
    for channels in (1, 3):
        pixels = np.ascontiguousarray(picture(*shape)[..., :channels])
        for draws in many(10):
            view = affine.resized_crop(View.of(pixels), draws, (24, 16))
            assert view.pixels().shape == (24, 16, channels)
            assert affine.rotate(view, draws, 180).pixels().shape == (24, 16, channels)


def reference_parts(height, width, scale, ratio, count):
    """Sizes of parts by torchvision's `RandomResizedCrop.get_params`, drawn by NumPy."""
    rng, sizes = np.random.default_rng(0), []
    for _ in range(count):
        for _ in range(10):
            area, aspect = rng.uniform(*scale) * height * width, np.exp(rng.uniform(*np.log(ratio)))
            h, w = round(np.sqrt(area / aspect)), round(np.sqrt(area * aspect))
            if h <= height and w <= width:
                sizes.append((h, w))
                break
    return np.array(sizes)


def test_resized_crops_are_spread_as_torchvisions():
    whole, size = View.of(picture(90, 120)), (8, 8)
    matrices = np.array([affine.resized_crop(whole, draws, size).matrix for draws in many(3000)])
    ours = np.rint(matrices[:, [4, 0]] * 8)
    reference = reference_parts(90, 120, (0.35, 1.0), (3 / 4, 4 / 3), 3000)
    for measure in (lambda s: s.prod(axis=1), lambda s: s[:, 1] / s[:, 0]):
        assert stats.ks_2samp(measure(ours), measure(reference)).pvalue > 1e-3
    free = np.array([90, 120]) - ours
    places = ((matrices[:, [5, 2]] + 0.5) / (free + 1))[(free > 10).all(axis=1)]
    assert stats.kstest(places.ravel(), "uniform").pvalue > 1e-4
    assert (matrices[:, [5, 2]] + ours <= [90, 120]).all() and (matrices[:, [5, 2]] >= 0).all()


def test_amounts_are_spread_evenly_over_their_range():
    view = View.of(picture(40, 40))
    angles = [
        math.degrees(math.asin(affine.rotate(view, draws, 30.0).matrix[3])) / 60 + 0.5 for draws in many(2000)
    ]
    shifts = [affine.translate(view, draws, 0.25).matrix[2] / 20 + 0.5 for draws in many(2000)]
    factors = [-math.log(affine.scale(view, draws, 0.5, 2.0).matrix[0], 4) + 0.5 for draws in many(2000)]
    for values in (angles, shifts, factors):
        assert stats.kstest(values, "uniform").pvalue > 1e-3
