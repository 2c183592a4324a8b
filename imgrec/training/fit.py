"""The one trainer: compile, fit with the standard callbacks, give the history back."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.losses import build_loss
from imgrec.training.averaging import averaging, reserve
from imgrec.training.balanced_accuracy import BalancedAccuracy
from imgrec.training.callbacks import BestWeights, HistoryWriter, Progress
from imgrec.training.freezing import frozen
from imgrec.training.optimizers import build_optimizer, go_to_step
from imgrec.training.plateau import plateau
from imgrec.training.regularize import regularized
from imgrec.training.sam import sharpness_aware


@dataclass(frozen=True)
class Fitted:
    """What came of a training."""

    history: list[dict[str, float]]
    """One row an epoch: epoch, learning_rate, loss, accuracy, val_loss, val_accuracy, images_per_second …

    The losses are what training minimises, class weights and logit adjustment included.
    """
    best_epoch: int
    """The epoch, from 1, whose weights the model holds now."""


@dataclass(frozen=True)
class Phase:
    """Some epochs of a training, in which other layers learn, or from other inputs, than in the next."""

    train: Any
    """`tf.data.Dataset` of (inputs of `part`, targets float32 `[B, num_classes]`), a batch a step."""
    validation: Any
    """The same, each example once."""
    until: int
    """The training's epoch, from 1, that is the last of this phase."""
    frozen: str = ""
    """Endpoint of the model up to which nothing changes; empty: everything learns."""
    part: keras.Model | None = None
    """What is fitted in place of the whole model: some of its layers as a model of their own."""
    restart: bool = False
    """Whether the schedule, ended by the phase before, begins anew with a fresh optimiser."""


def fit(
    model: keras.Model,
    train: Any,
    validation: Any,
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    loss: keras.losses.Loss | None = None,
    by_class: bool = False,
    strategy: Any = None,
    history_path: Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Fitted:
    """Train `model` in place and leave it with the weights of its best validation epoch.

    `train` and `validation` are `tf.data.Dataset`s of (images float32 `[B, H, W, C]` in 0…255, targets
    float32 `[B, num_classes]`); `train` holds `optim.epochs` × `steps_per_epoch` batches. `loss` takes
    soft targets and logits; the default is cross-entropy with `optim.label_smoothing`. The best epoch is
    that of the highest accuracy, or with `by_class` of the highest balanced accuracy, which the history
    then holds too: the mean of the classes' recalls.

    Raises:
        InputError: the loss is not finite.
    """
    return fit_phases(
        model,
        [Phase(train, validation, optim.epochs)],
        optim=optim,
        steps_per_epoch=steps_per_epoch,
        loss=loss,
        by_class=by_class,
        strategy=strategy,
        history_path=history_path,
        callbacks=callbacks,
    )


def fit_phases(
    model: keras.Model,
    phases: Sequence[Phase],
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    layer_decay: float = 1.0,
    loss: keras.losses.Loss | None = None,
    by_class: bool = False,
    strategy: Any = None,
    history_path: Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Fitted:
    """As `fit`, in phases: one history, and one optimiser and schedule up to where a phase restarts them.

    Every other phase begins at the schedule's place of its first epoch, also where `optim.patience` ended the
    one before early. `layer_decay` is that of `build_optimizer`.

    Raises:
        InputError: the loss is not finite.
    """
    monitor = "balanced_accuracy" if by_class else "accuracy"
    history, best = HistoryWriter(history_path), BestWeights(optim.patience, model, f"val_{monitor}")
    progress = Progress(optim.epochs, steps_per_epoch, optim.batch_size)
    begin = origin = 0
    for number, phase in enumerate(phases):
        part = phase.part or model
        if phase.restart or not number:
            origin, end = begin, _schedule_end(phases[number:])
            with runtime.scope(strategy):
                stretch = dataclasses.replace(optim, epochs=end - begin)
                optimizer = _optimizer(model, stretch, steps_per_epoch, layer_decay)
        go_to_step(optimizer, (begin - origin) * steps_per_epoch)
        followers = [
            *plateau(optimizer),
            *averaging(optimizer, model, part, optim, phases[-1].until, phase.train.take),
        ]
        with frozen(model, phase.frozen), regularized(part, optim), sharpness_aware(part, optim):
            with runtime.scope(strategy):
                part.compile(
                    optimizer=optimizer,
                    loss=loss or build_loss("cross_entropy", optim.label_smoothing),
                    metrics=_metrics(model, by_class),
                    jit_compile=runtime.wants_jit(),
                )
            part.fit(
                phase.train,
                validation_data=phase.validation,
                initial_epoch=begin,
                epochs=phase.until,
                steps_per_epoch=steps_per_epoch,
                shuffle=False,
                verbose=0,
                callbacks=[progress, *callbacks, history, best, *followers],
            )
        begin = phase.until
    best.restore()
    return Fitted(history.rows, best.best_epoch + 1)


def _optimizer(
    model: keras.Model, optim: OptimConfig, steps_per_epoch: int, layer_decay: float
) -> keras.optimizers.Optimizer:
    optimizer = build_optimizer(model, optim, steps_per_epoch, layer_decay)
    if keras.config.dtype_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # Over all variables: those that are frozen now find their slots when they are not any more.
    optimizer.build(model.trainable_variables)
    reserve(optimizer, model, optim)
    return optimizer


def _schedule_end(phases: Sequence[Phase]) -> int:
    """The last epoch of the phases from the first on, up to the next that begins a schedule of its own."""
    restarts = (number for number, phase in enumerate(phases) if number and phase.restart)
    return phases[next(restarts, len(phases)) - 1].until


def _metrics(model: keras.Model, by_class: bool) -> list[keras.metrics.Metric]:
    """What an epoch's line shows beside the loss."""
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    return [accuracy, BalancedAccuracy(model.output_shape[-1])] if by_class else [accuracy]
