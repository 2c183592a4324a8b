"""Weights set to zero on a schedule, and kept there."""

import keras
import numpy as np
import pytest

from imgrec.compression import qat
from imgrec.compression.pruning import sparse
from imgrec.compression.pruning.sparse import hold, holding, kernels, smallest, sparsity_at, weights, zeros
from imgrec.errors import InputError
from imgrec.models import build_model

LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)


def test_the_schedule_is_the_papers() -> None:
    """Eq. 1 with s_i = 0, t_0 = 0: 7/8 of the way after half of the steps."""
    assert [sparsity_at(step, 100, 0.8) for step in (0, 50, 100, 150)] == pytest.approx([0, 0.7, 0.8, 0.8])
    shares = [sparsity_at(step, 100, 0.8) for step in range(101)]
    assert np.all(np.diff(shares) > 0) and np.all(np.diff(shares, 2) < 0)


def test_the_smallest_are_hidden() -> None:
    value = np.array([[0.1, -3.0], [0.0, 0.2]])
    np.testing.assert_array_equal(smallest(value, 0.5), [[0, 1], [0, 1]])
    np.testing.assert_array_equal(smallest(value, 0), np.ones((2, 2)))
    assert smallest(np.zeros((10, 10)), 0.37).sum() == 63


def batches(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(0)
    labels = np.eye(5, dtype="float32")
    return [(draw.uniform(0, 255, (4, 28, 28, 1)).astype("float32"), labels[draw.integers(0, 5, 4)])
            for _ in range(count)]  # fmt: skip


def trained(model: keras.Model, steps: int, *callbacks: keras.callbacks.Callback) -> None:
    images, labels = map(np.concatenate, zip(*batches(steps), strict=True))
    model.compile(keras.optimizers.SGD(0.01, 0.9), LOSS)
    model.fit(images, labels, batch_size=4, verbose=0, callbacks=[*callbacks])


def test_weights_go_while_training_and_stay_away() -> None:
    keras.utils.set_random_seed(0)
    model = build_model("lenet5", (28, 28, 1), 5)
    assert [k.path.split("/")[-2] for k in kernels(model)] == ["c3", "c5", "f6", "logits"]
    prune = weights(sparsity=0.75).callback(model, steps=16)
    assert prune.last == 16 * sparse.RAMP
    trained(model, 16, prune)
    assert list(zeros(model)) == pytest.approx([0.75] * 4, abs=0.002)
    masks = [k.numpy() != 0 for k in kernels(model)]

    trained(model, 4)  # its zeros are held by the kernels themselves
    assert all(np.array_equal(k.numpy() != 0, mask) for k, mask in zip(kernels(model), masks, strict=True))

    quantized = qat.prepare(model, batches(4)[0][0])
    holding(quantized)
    trained(quantized, 4)
    after = [v.numpy() for v in quantized.trainable_variables if v.path.endswith("kernel")][1:]
    assert all(np.array_equal(value != 0, mask) for value, mask in zip(after, masks, strict=True))


def test_a_training_that_goes_on_begins_with_the_zeros_that_are_there() -> None:
    keras.utils.set_random_seed(0)
    model = build_model("lenet5", (28, 28, 1), 5)
    first = kernels(model)[0]
    first.assign(first.numpy() * smallest(first.numpy(), 0.6))
    hold(kernels(model))
    trained(model, 2)
    assert np.mean(first.numpy() == 0) == pytest.approx(0.6, abs=0.01)


def test_a_model_without_kernels_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image), name="means")
    with pytest.raises(InputError, match="'means' has no convolution or dense layer"):
        weights().check(model)
