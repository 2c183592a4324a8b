"""LSQ: gradients as the paper writes them, where steps begin, and that a file has exactly those learned."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from quantized_nets import answers, pictures, train
from small_nets import small_net

from imgrec.compression import qat
from imgrec.export import litert
from imgrec.export.inspect import describe
from imgrec.layers.fake_quant import mode
from imgrec.layers.learned_step import LearnedStep
from imgrec.layers.rounded_kernel import RoundsKernel, first_step, learned_kernel
from imgrec.runtimes import open_runtime


def paper_gradient(v: np.ndarray, step: float, low: int, high: int) -> np.ndarray:
    """Equation 3 of arXiv 1902.08153 for each value."""
    level = v / step
    inside = np.floor(level + 0.5) - level
    return np.where(level <= low, low, np.where(level >= high, high, inside))


def test_the_gradient_of_an_activation_s_step_is_equation_3_scaled() -> None:
    layer = LearnedStep()
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype("float32")
    with mode("observe"):
        layer(ops.convert_to_tensor(x))
    layer.settle()
    zero, step = float(layer.zero), float(layer.step)
    most = max(zero, 255 - zero)
    assert step == pytest.approx(2 * np.abs(x).mean() / np.sqrt(most), rel=1e-5)
    layer.step.assign(step / 8)  # so narrow that some are clipped
    source, weight = tf.constant(x), np.random.default_rng(1).normal(size=x.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(source)
        rounded = layer(source, training=True)
        loss = tf.reduce_sum(rounded * weight)
    to_x, to_step = tape.gradient(loss, [source, layer.step.value])
    level = x / (step / 8)
    inside = (level > -zero) & (level < 255 - zero)
    assert 0 < inside.mean() < 1
    assert np.allclose(to_x, weight * inside, atol=1e-6)
    expected = (paper_gradient(x, step / 8, -zero, 255 - zero) * weight).sum() / np.sqrt(15 * most)
    assert float(to_step) == pytest.approx(float(expected), rel=1e-3)
    assert np.allclose(rounded, layer(source, training=False), atol=1e-6)


@pytest.mark.parametrize("bits, top", [(8, 127), (4, 7)])
def test_the_gradient_of_a_kernel_s_steps_has_one_for_each_channel(bits: int, top: int) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype("float32")
    start = first_step(kernel, (0, 1, 2), bits)
    assert start.shape == (1, 1, 1, 4)
    assert start.ravel() == pytest.approx(2 * np.abs(kernel).mean((0, 1, 2)) / np.sqrt(top), rel=1e-5)
    steps = keras.Variable(start / 3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(learned_kernel(kernel, steps, (0, 1, 2), bits))
    found = np.asarray(tape.gradient(loss, steps.value)).ravel()
    for channel in range(4):
        one = paper_gradient(kernel[..., channel], float(start.ravel()[channel]) / 3, -top, top)
        assert found[channel] == pytest.approx(one.sum() / np.sqrt(18 * top), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("weights", [8, 4])
def test_a_file_has_exactly_the_steps_that_were_learned(weights: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = small_net()
    quantized = qat.prepare(model, pictures(32, seed=3, size=8)[0], lsq=True, weights=weights)
    begun = [layer.step.numpy() for layer in quantized.layers if isinstance(layer, LearnedStep)]
    train(quantized, 4, rate=1e-4)
    learned = [layer for layer in quantized.layers if isinstance(layer, LearnedStep)]
    assert len(learned) > 4 and all(float(la.step) != b for la, b in zip(learned, begun, strict=True))
    path = litert.to_int8(quantized, tmp_path / "lsq.tflite")
    operators = describe(path)
    tensors = [tensor for o in operators for tensor in (*o.inputs, *o.outputs)]
    for layer in learned:
        same = [
            t
            for t in tensors
            if len(t.scales) == 1 and t.scales[0] == pytest.approx(float(layer.step), rel=1e-6)
        ]
        assert any(t.zero_points[0] == int(layer.zero) - 128 for t in same), layer.name
    kernels = [
        o.inputs[1] for o in operators if o.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    ]
    for layer in (la for la in quantized.layers if isinstance(la, RoundsKernel)):
        steps = layer.levels()[1].ravel()
        assert any(k.scales == pytest.approx(steps, rel=1e-6) for k in kernels if len(k.scales) == len(steps))
    images = pictures(200, seed=9, size=8)[0]
    answered, expected = open_runtime(path).answer(images), answers(quantized, images)
    assert np.mean(answered.argmax(1) == expected.argmax(1)) >= 0.98
    assert np.mean(np.abs(answered - expected)) < float(learned[-1].step)


def test_uncalibrated_steps_are_refused_by_the_file_and_by_the_first_loss(tmp_path: Path) -> None:
    quantized = qat.prepare(small_net(), lsq="activations")
    assert np.isnan(answers(quantized, pictures(2, size=8)[0])).all()
    with pytest.raises(litert.ExportError, match="calibrate or train it first"):
        litert.to_int8(quantized, tmp_path / "x.tflite")
