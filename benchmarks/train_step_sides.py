"""The sides of `benchmarks.train_step` on TensorFlow: imgrec's fit, and Keras's on its applications' network.

python -m benchmarks.train_step_sides imgrec|keras|tf_keras NETWORK PRECISION SIDE BATCH: answers as
`benchmarks.turns` has it.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.turns import Answering

CLASSES = 1000
RATE, MOMENTUM = 1e-3, 0.9
FOREVER = 1_000_000
BeforeStep = Callable[[], None]


def imgrec(network: str, precision: str, side: int, batch: int, before_step: BeforeStep) -> None:
    """Run imgrec's fit as training runs it, with guard, progress, history and the watch on the input."""
    import keras

    from imgrec import runtime
    from imgrec.config import OptimConfig
    from imgrec.models import build_model
    from imgrec.training.fit import Recording, fit

    runtime.set_precision(precision)
    model = build_model(network, input_shape=(side, side, 3), num_classes=CLASSES)
    optim = OptimConfig.plain(
        epochs=1,
        batch_size=batch,
        learning_rate=RATE,
        momentum=MOMENTUM,
        weight_decay=0.0,
        schedule="constant",
        warmup_epochs=0.0,
        label_smoothing=0.0,
    )
    batches = fixed_batch(side, batch).repeat()
    hook = at_each_step(keras, before_step)
    fit(
        model,
        batches,
        batches.take(1),
        optim=optim,
        steps_per_epoch=FOREVER,
        recording=Recording(callbacks=[hook]),
    )


def bare(package: str, network: str, precision: str, side: int, batch: int, before_step: BeforeStep) -> None:
    """Run the `fit` of `package`, keras or tf_keras, on the network of its applications, without weights."""
    keras = importlib.import_module(package)
    if package == "keras":
        keras.config.set_dtype_policy(precision)
    else:
        keras.mixed_precision.set_global_policy(precision)
    build = getattr(keras.applications, network)
    options = {"weights": None, "classes": CLASSES, "classifier_activation": None}
    model = build(input_shape=(side, side, 3), **options)
    model.compile(
        keras.optimizers.SGD(RATE, momentum=MOMENTUM, nesterov=True),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    hook = at_each_step(keras, before_step)
    batches = fixed_batch(side, batch).repeat()
    model.fit(batches, steps_per_epoch=FOREVER, shuffle=False, verbose=0, callbacks=[hook])


def fixed_batch(side: int, batch: int) -> tf.data.Dataset:
    """Return noise in 0…255 as one batch in memory, with one-hot targets."""
    draw = np.random.default_rng(0)
    images = draw.uniform(0, 255, (batch, side, side, 3)).astype(np.float32)
    targets = np.eye(CLASSES, dtype=np.float32)[draw.integers(0, CLASSES, batch)]
    return tf.data.Dataset.from_tensors((images, targets))


def at_each_step(keras: Any, before_step: BeforeStep) -> Any:
    """Return a callback of either Keras that calls `before_step` before each step of training."""

    class Hook(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            before_step()

    return Hook()


def take_steps(
    name: str, network: str, precision: str, side: int, batch: int, before_step: BeforeStep
) -> None:
    """Train as the side `name` until `before_step` raises SystemExit."""
    if name == "imgrec":
        imgrec(network, precision, side, batch, before_step)
    else:
        bare(name, network, precision, side, batch, before_step)


if __name__ == "__main__":
    answering = Answering()
    name, network, precision, side, batch = sys.argv[1:]
    take_steps(name, network, precision, int(side), int(batch), answering.before_step)
