"""A training that is ready to start: settings decided, data read, model built."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgrec import runtime
from imgrec.config import Config
from imgrec.data.cache import Cache
from imgrec.data.pipeline import Feed, evaluation_dataset, images_of_step, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.learning.imbalance import Balance
from imgrec.tasks.task import Task
from imgrec.training.phase import Goal, Stream
from imgrec.workers import Team


@dataclass(frozen=True, kw_only=True)
class Session:
    """All that a training goes by.

    config: the settings, every `auto` decided.
    asked: the settings as the user gave them.
    recorded_model: arguments of `build_model`, as run.json has them.
    goal: what is minimised, and what the best epoch is best in.
    balance: what is done about classes of unequal size.
    machine: what it runs on, in words: precision, devices.
    command: the command line that the run began with.
    cache: the decoded images that are kept in memory.
    team: those who train; more than one under `--strategy multiworker`.
    notes: what the user should hear about, one line each.
    teachers: finished runs that are learned from, as run.json has them.
    """

    config: Config
    asked: Config
    source: Source
    preprocess: Preprocess
    task: Task
    recorded_model: dict[str, Any]
    model: keras.Model
    goal: Goal
    balance: Balance
    strategy: Any
    batch_size: int
    steps_per_epoch: int
    machine: dict[str, str]
    command: str
    cache: Cache
    team: Team = field(default_factory=Team)
    notes: tuple[str, ...] = ()
    teachers: tuple[dict[str, Any], ...] = ()

    def feed(self, needs: frozenset[str] = frozenset(), sampling: str = "") -> Feed:
        """Return how training images become batches; `sampling` by default that of the whole training."""
        return Feed(
            self.preprocess,
            self.task.targets,
            self.config.augment,
            self.batch_size,
            self.config.run.seed,
            sampling or self.balance.sampling,
            needs,
            self.cache,
        )

    def stream(
        self, epochs: int, first_epoch: int = 0, needs: frozenset[str] = frozenset(), sampling: str = ""
    ) -> Stream:
        """Return batches of `epochs` × `steps_per_epoch` steps, augmented and mixed.

        Args:
            epochs: how many.
            first_epoch: the training's epoch, from 0, that they begin with.
            needs: what a batch holds beside images and targets, as `Feed.needs`.
            sampling: one of `data.order.sampling.SAMPLINGS`; by default that of the whole training.
        """
        split, feed = self.source.train, self.feed(needs, sampling)
        first, steps = first_epoch * self.steps_per_epoch, epochs * self.steps_per_epoch

        def batches(done: int) -> tf.data.Dataset:
            return training_dataset(split, feed, start_step=first + done, steps=steps - done)

        def images(step: int) -> Sequence[str]:
            return images_of_step(split, feed, first + step)

        return Stream(batches, images)

    def validation_split(self) -> Split:
        """Return the validation images that are used: under JAX, those that split evenly over the devices."""
        split = self.source.val
        even = runtime.even_images(len(split), self.strategy)
        return split if even == len(split) else split.take(np.arange(even))

    def validation(self) -> tf.data.Dataset:
        """Return the validation images once, in order, as they are."""
        return self.evaluation(self.validation_split(), self.cache)

    def evaluation(self, split: Split, cache: Cache | None = None) -> tf.data.Dataset:
        """Return the images of a split once, in order, as they are."""
        return evaluation_dataset(split, self.preprocess, self.task.targets, self.batch_size, cache)
