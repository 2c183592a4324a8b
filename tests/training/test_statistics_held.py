"""A phase that holds batch normalisation: kernels learn, statistics and scales stay."""

import keras
import numpy as np
import tensorflow as tf

from imgrec.config import OptimConfig
from imgrec.models import build_model
from imgrec.training.fit import Phase, fit_phases

OPTIM = OptimConfig.plain(epochs=2, batch_size=8, learning_rate=0.05, warmup_epochs=0)


def learned(hold: bool) -> dict[str, bool]:
    """Which kinds of variables two epochs have changed."""
    keras.utils.set_random_seed(0)
    model = build_model("resnet8", (16, 16, 1), 2, width=4)
    images = np.random.default_rng(0).uniform(0, 255, (16, 16, 16, 1)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((images, np.eye(2, dtype="float32")[np.arange(16) % 2])).batch(
        8
    )
    before = {v.path: v.numpy().copy() for v in model.variables}
    flags = [layer.trainable for layer in model._flatten_layers()]
    phase = Phase(data.repeat(2), data, 2, hold_statistics=hold)
    fit_phases(model, [phase], optim=OPTIM, steps_per_epoch=2)
    assert [layer.trainable for layer in model._flatten_layers()] == flags
    kinds = {"kernel": "kernel", "gamma": "gamma", "moving": "moving_mean"}
    return {
        kind: any(
            not np.array_equal(before[v.path], v.numpy()) for v in model.variables if v.path.endswith(end)
        )
        for kind, end in kinds.items()
    }


def test_statistics_and_scales_stay_while_kernels_learn() -> None:
    assert learned(hold=True) == {"kernel": True, "gamma": False, "moving": False}
    assert learned(hold=False) == {"kernel": True, "gamma": True, "moving": True}
