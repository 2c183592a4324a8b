"""The fused kernels against Keras's own optimisers: the same weights and state after every step."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.training.optim.fused_updates import FusedAdam, FusedAdamW, FusedSGD

SHAPES = [(3, 3, 5, 7), (41,), (8, 9), ()]
SGD, ADAM = keras.optimizers.SGD, keras.optimizers.Adam
RULES = [
    (FusedSGD, SGD, {"momentum": 0.0}, "ResourceApplyGradientDescent"),
    (FusedSGD, SGD, {"momentum": 0.9}, "ResourceApplyKerasMomentum"),
    (FusedSGD, SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, "ResourceApplyKerasMomentum"),
    (FusedAdam, ADAM, {"beta_1": 0.7, "epsilon": 1e-4, "global_clipnorm": 1.0}, "ResourceApplyAdam"),
    (FusedAdamW, keras.optimizers.AdamW, {"weight_decay": 0.05}, "ResourceApplyAdam"),
]


def variables() -> list[keras.Variable]:
    draw = np.random.default_rng(0)
    return [keras.Variable(draw.normal(size=shape).astype(np.float32)) for shape in SHAPES]


def stepper(optimizer: Any, moved: list[keras.Variable]) -> Any:
    """A traced step that takes the gradients."""
    optimizer.build(moved)
    kinds = [tf.TensorSpec(shape, tf.float32) for shape in SHAPES]
    return tf.function(lambda *gradients: optimizer.apply(gradients, moved), input_signature=kinds)


@pytest.mark.parametrize(("fused", "plain", "options", "kernel"), RULES)
def test_weights_and_state_are_keras_s(fused: Any, plain: Any, options: Any, kernel: str) -> None:
    rate = keras.optimizers.schedules.CosineDecay(0.3, 10)
    ours, theirs = variables(), variables()
    one, other = fused(rate, **options), plain(rate, **options)
    step, reference = stepper(one, ours), stepper(other, theirs)
    # Keras's Adam rounds 1 − β₂ after the subtraction, the kernel before: 1.3e-5 of it.
    near = 2e-5 if kernel == "ResourceApplyAdam" else 1e-6
    draw = np.random.default_rng(1)
    for _ in range(6):
        gradients = [draw.normal(size=shape).astype(np.float32) for shape in SHAPES]
        step(*gradients)
        reference(*gradients)
        for a, b in zip(ours + one.variables, theirs + other.variables, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=near, atol=near)
    found = [operation.type for operation in step.get_concrete_function().graph.get_operations()]
    assert found.count(kernel) == len(SHAPES), "one kernel a variable"


@pytest.mark.parametrize(("fused", "plain"), [(FusedSGD, SGD), (FusedAdam, ADAM)])
def test_sparse_gradients_are_left_to_keras(fused: Any, plain: Any) -> None:
    moved = []
    for kind in (fused, plain):
        table = keras.Variable(np.ones((5, 2), np.float32))
        gradient = tf.IndexedSlices(tf.constant([[1.0, 2.0]]), tf.constant([3]), dense_shape=(5, 2))
        optimizer = kind(0.1)
        optimizer.apply([gradient], [table])
        moved.append(table.numpy())
    np.testing.assert_array_equal(*moved)
    assert (moved[0][3] != 1).all() and (moved[0][:3] == 1).all()


def test_amsgrad_is_left_to_keras() -> None:
    results = []
    for kind in (FusedAdam, ADAM):
        moved = variables()
        optimizer = kind(0.1, amsgrad=True)
        for size in (2.0, 0.5):
            optimizer.apply([keras.ops.full(v.shape, size) for v in moved], moved)
        results.append([v.numpy() for v in moved])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
