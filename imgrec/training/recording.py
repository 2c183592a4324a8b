"""What is kept of a training while it goes on, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from imgrec.training.checkpointing.callback import CheckpointPolicy
from imgrec.training.progress import Ahead
from imgrec.training.watch import Watch


@dataclass(frozen=True)
class Fitted:
    """What came of a training."""

    history: list[dict[str, float]]
    """One row an epoch: epoch, learning_rate, loss, accuracy, val_loss, val_accuracy, images_per_second …

    The losses are what training minimises, class weights and logit adjustment included.
    """
    best_epoch: int | None
    """The epoch, from 1, whose weights the model holds now; None of a model made of trained ones."""
    rate: float
    """The peak of the learning rate that it was trained with."""
    retried: bool = False
    """Whether that is half of what was asked for, for with all of it the training led nowhere."""


@dataclass(frozen=True)
class Recording:
    """What is kept of a training while it goes on."""

    history_path: Path | None = None
    """history.csv, a row an epoch; None writes none."""
    callbacks: Sequence[keras.callbacks.Callback] = ()
    """Who else is called."""
    policy: CheckpointPolicy | None = None
    """Where and how often the training is saved; None: never."""
    watch: Watch | None = None
    """Who says that the training leads nowhere."""
    retry: bool = False
    """Whether a training that leads nowhere begins anew, once, with half the rate."""
    ahead: Ahead | None = None
    """What comes after it and counts as what is left; None: nothing is known of that."""
    best_since: int = 0
    """The first epoch, from 0, whose weights may be the best."""
