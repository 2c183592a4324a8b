"""Deformable convolution against a slow loop over pixels, and what it does in a model."""

import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.compression import qat
from imgrec.errors import InputError
from imgrec.layers.deformable import DeformableConv2D, deformable_convolution

Array = np.ndarray


def pixel(image: Array, y: int, x: int) -> Any:
    inside = 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
    return image[y, x] if inside else np.zeros(image.shape[2])


def between(image: Array, y: float, x: float) -> Array:
    """Bilinear interpolation in `[H, W, C]`, zero outside."""
    value = np.zeros(image.shape[2])
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            value += (1 - abs(y - row)) * (1 - abs(x - column)) * pixel(image, row, column)
    return value


def slow(images: Array, offsets: Array, mask: Array, kernel: Array, stride: int, padding: int) -> Array:
    """The definition, in torchvision's order: offsets y, x of point 0, of point 1 …; points row by row."""
    rows, columns, _, filters = kernel.shape
    result = np.zeros((*offsets.shape[:3], filters))
    for b, i, j in np.ndindex(*offsets.shape[:3]):
        for k in range(rows * columns):
            row, column = divmod(k, columns)
            y = i * stride - padding + row + offsets[b, i, j, 2 * k]
            x = j * stride - padding + column + offsets[b, i, j, 2 * k + 1]
            result[b, i, j] += mask[b, i, j, k] * between(images[b], y, x) @ kernel[row, column]
    return result


@pytest.mark.parametrize(
    ("side", "stride", "padding"),
    [((3, 3), 1, 1), ((3, 3), 2, 1), ((3, 3), 1, 2), ((2, 3), 1, 0), ((1, 1), 2, 0)],
)
def test_equals_the_definition(side: tuple[int, int], stride: int, padding: int) -> None:
    draw = np.random.default_rng(0)
    images = draw.normal(size=(2, 7, 6, 3))
    sides = [(n + 2 * padding - k) // stride + 1 for n, k in zip(images.shape[1:3], side, strict=True)]
    points = side[0] * side[1]
    offsets = draw.normal(size=(2, *sides, 2 * points)) * 3
    offsets[0, 0] = draw.integers(-9, 9, offsets[0, 0].shape)  # whole pixels, many far outside
    mask = draw.uniform(size=(2, *sides, points))
    kernel = draw.normal(size=(*side, 3, 4))
    arguments = [a.astype(np.float32) for a in (images, offsets, mask, kernel)]
    y = deformable_convolution(*map(tf.constant, arguments), stride, padding).numpy()
    expected = slow(images, offsets, mask, kernel, stride, padding)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def layer_and_input(**options: Any) -> tuple[DeformableConv2D, Array]:
    layer = DeformableConv2D(4, name="deformable", **options)
    layer.build((None, 9, 8, 3))
    return layer, np.random.default_rng(1).normal(size=(2, 9, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("modulated", [True, False])
@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_starts_as_an_ordinary_convolution(kernel_size: int, stride: int, modulated: bool) -> None:
    layer, x = layer_and_input(kernel_size=kernel_size, stride=stride, modulated=modulated)
    border = (kernel_size // 2, kernel_size // 2)
    padded = np.pad(x, ((0, 0), border, border, (0, 0)))
    plain = tf.nn.convolution(padded, layer.kernel.value, stride, "VALID").numpy()
    y = layer(x).numpy()
    assert y.shape == layer.compute_output_shape(x.shape) == plain.shape
    np.testing.assert_allclose(y, plain * (0.5 if modulated else 1), rtol=1e-4, atol=1e-5)


def test_shifted_offsets_read_the_shifted_image() -> None:
    layer, x = layer_and_input(modulated=False)
    before = layer(x).numpy()
    # One pixel up and two to the left, for every point.
    layer.guide.bias.assign(np.tile([-1.0, -2.0], 9))
    moved = np.zeros_like(x)
    moved[:, 1:, 2:] = x[:, :-1, :-2]
    after = layer(x).numpy()
    # But for the border, where the moved image has lost what the moved points still see.
    np.testing.assert_allclose(after[:, 2:-1, 3:-1], before[:, 1:-2, 1:-3], rtol=1e-4, atol=1e-5)
    layer.guide.bias.assign(np.zeros(18))
    np.testing.assert_allclose(
        after[:, 2:-1, 3:-1], layer(moved).numpy()[:, 2:-1, 3:-1], rtol=1e-4, atol=1e-5
    )


def test_gradients_equal_finite_differences() -> None:
    draw = np.random.default_rng(2)
    image, kernel = draw.normal(size=(1, 5, 5, 2)), draw.normal(size=(3, 3, 2, 2))
    # Away from whole pixels, where bilinear interpolation has a corner.
    offsets = draw.integers(-2, 2, (1, 5, 5, 18)) + draw.uniform(0.2, 0.8, (1, 5, 5, 18))
    mask = draw.uniform(size=(1, 5, 5, 9))
    values = [tf.constant(a, tf.float32) for a in (image, offsets, mask, kernel)]
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = tf.reduce_sum(deformable_convolution(*values, 1, 1) ** 2)
    gradients = tape.gradient(loss, values)
    arrays = [image, offsets, mask, kernel]
    for which, gradient in enumerate(gradients):
        place = tuple(draw.integers(0, n) for n in arrays[which].shape)
        ends = []
        for step in (1e-5, -1e-5):
            changed = [a.copy() for a in arrays]
            changed[which][place] += step
            ends.append((slow(*changed, 1, 1) ** 2).sum())
        np.testing.assert_allclose(gradient.numpy()[place], (ends[0] - ends[1]) / 2e-5, rtol=1e-3, atol=1e-3)


def test_every_weight_learns_from_the_first_step() -> None:
    layer, x = layer_and_input()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2 * np.arange(4))
    weights = layer.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    assert {weight.path for weight in weights} == {
        "deformable/kernel",
        "deformable/guide/kernel",
        "deformable/guide/bias",
    }
    assert all(np.any(gradient.numpy()) for gradient in gradients)
    assert np.any(gradients[1].numpy()[..., :18]) and np.any(gradients[1].numpy()[..., 18:])


def test_saves_and_keeps_its_precision(tmp_path: Any) -> None:
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, DeformableConv2D(2, stride=2, name="deformable")(image))
    x = np.random.default_rng(3).normal(size=(2, 8, 8, 3)).astype(np.float32)
    model.layers[1].guide.kernel.assign(np.random.default_rng(4).normal(size=(3, 3, 3, 27)) * 0.1)
    y = model(x).numpy()
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(x).numpy(), y)
    config = {**model.layers[1].get_config(), "dtype": "mixed_bfloat16"}
    half = DeformableConv2D.from_config(config)
    half.build((None, 8, 8, 3))
    half.set_weights(model.get_weights())
    z = half(x)
    assert z.dtype == tf.bfloat16
    # bfloat16 at both ends, 2⁻⁸ each; the positions themselves are computed in float32.
    np.testing.assert_allclose(tf.cast(z, tf.float32).numpy(), y, atol=0.03 * np.abs(y).max())


def test_refusals() -> None:
    with pytest.raises(InputError, match="got a None×9 map, expected known sides"):
        DeformableConv2D(2).build((None, None, 9, 3))
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, DeformableConv2D(2, name="bent")(image))
    with pytest.raises(InputError, match=r"bent \(DeformableConv2D\): no int8 form is known"):
        qat.check(model)
