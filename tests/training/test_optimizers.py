"""The schedule's landmarks, and who is spared from weight decay."""

import keras
import numpy as np
import pytest

from imgrec.config import OptimConfig
from imgrec.models import build_model
from imgrec.training.optimizers import build_optimizer, cosine_with_warmup


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
