"""A session put together by hand, for tests of methods."""

from typing import Any

import keras

from imgrec.config import Config
from imgrec.data.cache import Cache
from imgrec.data.pipeline import steps_per_epoch
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.learning.imbalance import Balance
from imgrec.learning.session import Session
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.phase import Goal


def session_of(
    config: Config, source: Source, preprocess: Preprocess, model: keras.Model, **more: Any
) -> Session:
    task = Multiclass(source.classes)
    batch = int(config.optim.batch_size)
    given: dict[str, Any] = {
        "task": task,
        "recorded_model": {},
        "goal": Goal.accuracy(config.optim.label_smoothing),
        "balance": Balance("none", tuple(source.train.counts(len(source.classes)).tolist())),
        "strategy": None,
        "batch_size": batch,
        "steps_per_epoch": steps_per_epoch(len(source.train), batch),
        "machine": {},
        "command": "",
        "cache": Cache("none"),
    }
    return Session(
        config=config, asked=config, source=source, preprocess=preprocess, model=model, **{**given, **more}
    )
