"""The one trainer: compile, fit with the standard callbacks, give the history back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.training.callbacks import BestWeights, HistoryWriter, Progress
from imgrec.training.optimizers import build_optimizer


@dataclass(frozen=True)
class Fitted:
    """What came of a training."""

    history: list[dict[str, float]]
    """One row an epoch: epoch, learning_rate, loss, accuracy, val_loss, val_accuracy, images_per_second …"""
    best_epoch: int
    """The epoch, from 1, whose weights the model holds now."""


def fit(
    model: keras.Model,
    train: Any,
    validation: Any,
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    loss: keras.losses.Loss | None = None,
    strategy: Any = None,
    history_path: Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Fitted:
    """Train `model` in place and leave it with the weights of its best validation epoch.

    `train` and `validation` are `tf.data.Dataset`s of (images float32 `[B, H, W, C]` in 0…255, targets
    float32 `[B, num_classes]`); `train` holds `optim.epochs` × `steps_per_epoch` batches. `loss` takes
    soft targets and logits; the default is cross-entropy with `optim.label_smoothing`.

    Raises:
        InputError: the loss is not finite.
    """
    with runtime.scope(strategy):
        model.compile(
            optimizer=build_optimizer(model, optim, steps_per_epoch),
            loss=loss
            or keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=optim.label_smoothing),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=runtime.wants_jit(),
        )
    history, best = HistoryWriter(history_path), BestWeights(optim.patience)
    model.fit(
        train,
        validation_data=validation,
        epochs=optim.epochs,
        steps_per_epoch=steps_per_epoch,
        shuffle=False,
        verbose=0,
        callbacks=[Progress(optim.epochs, steps_per_epoch, optim.batch_size), history, best, *callbacks],
    )
    return Fitted(history.rows, best.best_epoch + 1)
