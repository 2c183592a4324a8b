"""Train what an export is made of a little longer: after quantisation, after pruning."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgrec.config import OptimConfig
from imgrec.learning import methods
from imgrec.learning.session import Session
from imgrec.runs import resume
from imgrec.training.fit import Recording, fit_phases
from imgrec.training.progress import Ahead


@dataclass(frozen=True)
class Tuning:
    """A fine-tuning.

    stage: names its history and its checkpoints.
    title: in words.
    optim: `short` of the training's settings, or others.
    callbacks: who else is called.
    best_since: the first epoch, from 0, whose weights may be the best.
    """

    stage: str
    title: str
    optim: OptimConfig
    callbacks: Sequence[keras.callbacks.Callback] = ()
    best_since: int = 0


def short(session: Session, epochs: int, rate: float, **more: Any) -> OptimConfig:
    """Return the training's settings for a few more epochs: without averages, penalties and early ends."""
    plain: dict[str, Any] = {
        "schedule": "cosine",
        "layer_decay": 1.0,
        "l1": 0.0,
        "l2": 0.0,
        "ema": 0.0,
        "swa_epochs": 0,
        "sam": 0.0,
        "warmup_epochs": 0.1,
        "patience": 0,
    }
    given = {"epochs": epochs, "learning_rate": rate, "batch_size": session.batch_size}
    return dataclasses.replace(session.config.optim, **{**plain, **given, **more})


def tune(session: Session, model: keras.Model, tuning: Tuning, folder: Path, ahead: Ahead) -> None:
    """Train `model` in place on the epochs after the last; `ahead` is what comes after that."""
    epochs = int(tuning.optim.epochs)
    print(f"{tuning.title} fine-tuning, {epochs} epochs", flush=True)
    method = methods.choose(session.config)
    fit_phases(
        model,
        [method.fine_tuning(dataclasses.replace(session, model=model), epochs)],
        optim=tuning.optim,
        steps_per_epoch=session.steps_per_epoch,
        goal=session.goal,
        strategy=session.strategy,
        recording=Recording(
            folder / f"history_{tuning.stage}.csv",
            tuning.callbacks,
            policy=resume.checkpoint_policy(session, folder, tuning.stage),
            ahead=ahead,
            best_since=tuning.best_since,
        ),
    )


def spread(total: int, wanted: int) -> np.ndarray:
    """Return at most `wanted` positions of `total`, evenly spread, so that sorted classes all take part."""
    return np.unique(np.linspace(0, total - 1, min(total, wanted)).round().astype(int))
