"""The schedule's landmarks, and who is spared from weight decay."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.config import Config, OptimConfig
from imgrec.models import build_model
from imgrec.training.optimizers import build_optimizer, cosine_with_warmup, depth_factors


def test_the_schedule_rises_linearly_and_falls_as_a_half_cosine() -> None:
    rate = cosine_with_warmup(0.1, steps=110, warmup_steps=10)
    at = [float(rate(step)) for step in (0, 5, 10, 60, 110)]
    np.testing.assert_allclose(at, [0.0, 0.05, 0.1, 0.05, 0.0], atol=1e-7)


def test_a_schedule_of_one_step_trains() -> None:
    assert float(cosine_with_warmup(0.1, steps=1, warmup_steps=78)(0)) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["resnet8", "vit_small_image"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_decay_moves_kernels_only(name: str, optimizer: str) -> None:
    """With zero gradients, one step shrinks every matrix by rate × decay and leaves all else."""
    model = build_model(name, input_shape=(16, 16, 1), num_classes=3)
    optim = OptimConfig(optimizer=optimizer, learning_rate=0.5, weight_decay=0.1, warmup_epochs=0, epochs=1)  # type: ignore[arg-type]
    built = build_optimizer(model, optim, steps_per_epoch=1000)
    before = [v.numpy().copy() for v in model.trainable_variables]
    built.apply([keras.ops.zeros_like(v) for v in model.trainable_variables], model.trainable_variables)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        if not variable.path.endswith("kernel"):
            np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)
        else:
            np.testing.assert_allclose(variable.numpy(), old * 0.95, rtol=1e-5, err_msg=variable.path)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("jit", [False, True])
def test_the_first_update_with_layer_decay_is_the_one_by_hand(optimizer: str, jit: bool) -> None:
    """Rate r·½^k at k groups from the head, for the step and for the weight decay."""
    rate, decay = 0.2, 0.1
    model = build_model("resnet8", input_shape=(16, 16, 1), num_classes=3)
    settings = {"optimizer": optimizer, "learning_rate": rate, "weight_decay": decay, "warmup_epochs": 0.0}
    optim = Config().replace(**settings).optim
    built = build_optimizer(model, optim, steps_per_epoch=1_000_000, layer_decay=0.5)
    before = {v.path: v.numpy().copy() for v in model.trainable_variables}
    gradients = [keras.ops.full(v.shape, 0.25) for v in model.trainable_variables]
    apply = tf.function(lambda: built.apply(gradients, model.trainable_variables), jit_compile=jit)
    built.build(model.trainable_variables)
    apply()
    depth = {"stem": 4, "stage1": 3, "stage2": 2, "stage3": 1, "logits": 0}
    for variable in model.trainable_variables:
        share = 0.5 ** depth[variable.path.split("/")[0].split("_")[0]]
        decayed = decay if variable.path.endswith("kernel") else 0.0
        # Nesterov's first step is (1 + momentum) gradients, Adam's is the gradient's sign.
        step = 1.9 * 0.25 if optimizer == "sgd" else 1.0
        expected = before[variable.path] * (1 - rate * share * decayed) - rate * share * step
        np.testing.assert_allclose(variable.numpy(), expected, rtol=0, atol=2e-5, err_msg=variable.path)


def test_a_scaled_optimizer_is_saved_with_its_factors() -> None:
    model = build_model("resnet8", input_shape=(16, 16, 1), num_classes=3)
    built = build_optimizer(model, OptimConfig(), steps_per_epoch=10, layer_decay=0.5)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(built))
    assert type(again) is type(built)
    assert again.factors == built.factors == depth_factors(model, 0.5)
