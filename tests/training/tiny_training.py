"""A training of seconds that can be stopped at chosen places, for test_resume.py and test_bad_steps.py."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgrec.config import OptimConfig
from imgrec.training.checkpointing.callback import CheckpointPolicy, Interval
from imgrec.training.checkpointing.store import Checkpoints
from imgrec.training.fit import Fitted, Phase, Recording, Stream, fit_phases

STEPS, BATCH = 5, 4
OPTIM = OptimConfig.plain(epochs=3, batch_size=BATCH, learning_rate=0.1, warmup_epochs=0, label_smoothing=0.0)
Change = Callable[[int, np.ndarray], np.ndarray]


class At(keras.callbacks.Callback):
    """Sends a signal to this process at one step of the training, or of a validation."""

    def __init__(self, epoch: int, step: int, number: int = signal.SIGTERM, testing: bool = False) -> None:
        super().__init__()
        self.place, self.number, self.testing = (epoch, step), number, testing

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.testing and (self.epoch, batch) == self.place:
            os.kill(os.getpid(), self.number)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.testing and (self.epoch, batch) == self.place:
            os.kill(os.getpid(), self.number)


def batch_of(step: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(step)
    labels = draw.integers(0, 2, BATCH)
    return (draw.normal(0, 1, (BATCH, 6)) + labels[:, None]).astype("float32"), np.eye(2, dtype="float32")[
        labels
    ]


def stream(
    epochs: int, first: int = 0, change: Change | None = None, seen: list[int] | None = None
) -> Stream:
    """Numbers that are a function of the step; `change` may spoil those of a step, `seen` notes them."""

    def batches(done: int) -> tf.data.Dataset:
        def give() -> Any:
            for step in range(first * STEPS + done, (first + epochs) * STEPS):
                values, targets = batch_of(step)
                if seen is not None:
                    seen.append(step)
                yield (values if change is None else change(step, values)), targets

        shapes = (tf.TensorSpec((BATCH, 6)), tf.TensorSpec((BATCH, 2)))
        count = tf.data.experimental.assert_cardinality(epochs * STEPS - done)
        return tf.data.Dataset.from_generator(give, output_signature=shapes).apply(count)

    return Stream(batches, lambda step: [f"image-{first * STEPS + step}-{row}" for row in range(BATCH)])


def validation() -> tf.data.Dataset:
    parts = [batch_of(1000 + step) for step in range(3)]
    return tf.data.Dataset.from_tensor_slices(tuple(map(np.concatenate, zip(*parts, strict=True)))).batch(
        BATCH
    )


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    given = keras.Input((6,))
    x = keras.layers.Dense(8, name="stem")(given)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.4, name="drop")(keras.layers.ReLU()(x))
    x = keras.layers.Dense(8, activation="relu", name="features")(x)
    return keras.Model(given, keras.layers.Dense(2, name="logits")(x))


def keep(folder: Path, interval: str = "1e", on_nan: Any = "stop") -> CheckpointPolicy:
    return CheckpointPolicy(Checkpoints(folder / "train", {"config": "c"}), Interval.parse(interval), on_nan)


def train(
    phases: Sequence[Phase],
    keeping: CheckpointPolicy | None,
    model: keras.Model | None = None,
    **options: Any,
) -> tuple[keras.Model, Fitted]:
    model = model or network()
    recording = Recording(options.pop("history_path", None), options.pop("callbacks", ()), keeping)
    options = {"optim": replace(OPTIM, epochs=phases[-1].until), **options}
    return model, fit_phases(model, phases, steps_per_epoch=STEPS, recording=recording, **options)


def figures(fitted: Fitted) -> list[dict[str, float]]:
    timing = ("images_per_second", "seconds", "input_wait", "memory_mb")
    return [{key: value for key, value in row.items() if key not in timing} for row in fitted.history]


def assert_same(one: tuple[keras.Model, Fitted], two: tuple[keras.Model, Fitted]) -> None:
    assert figures(one[1]) == figures(two[1])
    assert one[1].best_epoch == two[1].best_epoch
    for a, b in zip(one[0].get_weights(), two[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def two(seen: list[int] | None = None) -> list[Phase]:
    """All but the first layer, then the head alone with a schedule of its own."""
    first = Phase(stream(2, seen=seen), validation(), 2, frozen="stem")
    return [first, Phase(stream(2, 2, seen=seen), validation(), 4, frozen="features", restart=True)]
