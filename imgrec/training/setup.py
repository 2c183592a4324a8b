"""What every phase of a training goes by, and its optimiser."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.training.checkpointing.interruption import Interruption
from imgrec.training.checkpointing.train_state import Rollbacks, StatefulCallbacks
from imgrec.training.input_wait import InputWait
from imgrec.training.optim.averaging import reserve
from imgrec.training.optim.optimizers import build_optimizer
from imgrec.training.phase import Goal, Phase, Solved, helpers
from imgrec.training.recording import Recording


@dataclass(frozen=True)
class Setup:
    """The arguments of `fit_phases`, and those who are called in every phase."""

    model: keras.Model
    phases: Sequence[Phase]
    optim: OptimConfig
    steps: int
    """Of an epoch."""
    goal: Goal
    strategy: Any
    recording: Recording
    stateful: StatefulCallbacks
    interruption: Interruption = dataclasses.field(default_factory=Interruption)
    waiting: InputWait = dataclasses.field(default_factory=InputWait)

    @functools.cached_property
    def helpers(self) -> list[keras.Variable]:
        """What learns beside the model's variables."""
        return helpers(self.model, self.phases)

    def rate(self, rollbacks: Rollbacks) -> float:
        """Return the peak of the learning rate."""
        return float(self.optim.learning_rate) * rollbacks.rate

    def may_retry(self, rollbacks: Rollbacks) -> bool:
        """Whether a training that leads nowhere begins anew."""
        return self.recording.retry and not rollbacks.retried

    def initial(self) -> list[np.ndarray]:
        """Copy what the model begins with, where it may begin anew."""
        wanted = [*self.model.variables, *self.helpers] if self.recording.retry else []
        return [np.array(keras.ops.convert_to_numpy(variable)) for variable in wanted]

    def begin_anew(self, values: Sequence[np.ndarray]) -> None:
        """Forget a training; `values` are what `initial` gave."""
        for variable, value in zip([*self.model.variables, *self.helpers], values, strict=True):
            variable.assign(value)
        self.stateful.forget()
        if self.recording.history_path:
            self.recording.history_path.unlink(missing_ok=True)
        if self.recording.policy:
            self.recording.policy.begin_anew()

    def optimizer(self, phase: Phase, epochs: int, rollbacks: Rollbacks) -> keras.optimizers.Optimizer:
        """Build the optimiser and its schedule over `epochs` from `phase` on; no steps need no rate."""
        rate = self.rate(rollbacks)
        settings = dataclasses.replace(self.optim, epochs=epochs, learning_rate=rate)
        if isinstance(phase, Solved):
            settings = dataclasses.replace(
                settings, learning_rate=0.0, schedule="constant", warmup_epochs=0.0
            )
        with runtime.scope(self.strategy):
            optimizer = build_optimizer(self.model, settings, self.steps, self.helpers)
            if keras.config.dtype_policy().name == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            # Over all variables: those that are frozen now find their slots when they are not any more.
            optimizer.build([*self.model.trainable_variables, *self.helpers])
            reserve(optimizer, self.model, self.optim)
        return optimizer

    def compile(self, part: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
        """Compile what is fitted; return the variables that the figures of an epoch are counted in."""
        with runtime.scope(self.strategy):
            metrics = self.goal.metrics()
            part.compile(
                optimizer=optimizer, loss=self.goal.loss, metrics=metrics, jit_compile=runtime.wants_jit()
            )
        # The first of a compiled model's metrics tracks the loss.
        return [v for metric in (part.metrics[0], *metrics) for v in metric.variables]
