"""A training that is going on, as one thing that can be taken down and put back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import keras
import numpy as np

from imgrec import runtime
from imgrec.errors import InputError
from imgrec.training.callbacks import BestWeights, HistoryWriter, Remembering
from imgrec.training.checkpointing.store import Snapshot, Step
from imgrec.training.nan_guard import NaNGuard
from imgrec.training.progress import Progress


@dataclass(frozen=True)
class StatefulCallbacks:
    """The callbacks that remember something from epoch to epoch."""

    history: HistoryWriter
    best: BestWeights
    progress: Progress
    guard: NaNGuard
    others: tuple[Remembering, ...] = ()
    _begun: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Note what each remembers when a training begins."""
        object.__setattr__(self, "_begun", json.dumps(self.state()))

    def state(self) -> dict[str, Any]:
        """What each remembers, as JSON can hold it; the best weights are arrays, and apart."""
        own = {name: getattr(self, name).state() for name in ("history", "best", "progress", "guard")}
        return {**own, "others": [other.state() for other in self.others]}

    def put(self, state: Mapping[str, Any], best: Sequence[np.ndarray]) -> None:
        """Give each its memory back."""
        for other, value in zip(self.others, state["others"], strict=True):
            other.put(value)
        for name in state.keys() - {"others"}:
            getattr(self, name).put(state[name])
        self.best.weights = list(best)

    def forget(self) -> None:
        """Be as before the first epoch of a training."""
        self.put(json.loads(self._begun), [])


LOWER = 0.5
"""Factor on the learning rate each time the training goes back because of a bad step."""


@dataclass(frozen=True)
class Rollbacks:
    """What bad steps have changed about a training."""

    rate: float = 1.0
    """Factor on the learning rate."""
    returns: int = 0
    """How often the training went back to a checkpoint."""
    retried: bool = False
    """Whether it has begun anew."""

    @classmethod
    def of(cls, snapshot: Snapshot | None) -> "Rollbacks":
        """Those a snapshot was taken under."""
        return cls(**snapshot.state["terms"]) if snapshot else cls()

    def lowered(self) -> "Rollbacks":
        """Those after one more return."""
        return replace(self, rate=self.rate * LOWER, returns=self.returns + 1)

    def anew(self) -> "Rollbacks":
        """Those of a training that begins anew."""
        return Rollbacks(LOWER, retried=True)


@dataclass(frozen=True)
class TrainState:
    """One phase under way: what a snapshot is taken of, and put into."""

    model: keras.Model
    part: keras.Model
    """What is fitted of it, compiled."""
    optimizer: keras.optimizers.Optimizer
    """Built, under `rollbacks`."""
    metrics: Sequence[keras.Variable]
    """What the epoch's figures are counted in."""
    stateful: StatefulCallbacks
    rollbacks: Rollbacks
    helpers: Sequence[keras.Variable] = ()
    """What learns beside the model's variables."""

    def take(self, at: Step, logs: Mapping[str, float]) -> Snapshot:
        """Copy everything; `logs` are the last step's."""
        if runtime.backend() == "jax":  # which keeps what it trains outside the variables during an epoch
            self.part.jax_state_sync()
        arrays = {
            "model": _values([*self.model.variables, *self.helpers]),
            "optimizer": _values(self.optimizer.variables),
            "metrics": _values(self.metrics),
            "best": self.stateful.best.weights,
        }
        state = {
            **self.stateful.state(),
            "logs": {name: float(value) for name, value in logs.items()},
            "terms": asdict(self.rollbacks),
            "versions": runtime.versions(),
        }
        return Snapshot(at, arrays, state)

    def put(self, snapshot: Snapshot, fresh_optimizer: bool = False) -> None:
        """Put everything back but the metrics, which an epoch's beginning would clear: see `put_metrics`.

        With `fresh_optimizer` the optimiser stays as it is: that of a phase that begins a schedule.

        Raises:
            InputError: the snapshot is of another model or optimiser.
        """
        put(self.model, self.stateful, snapshot, self.helpers)
        if not fresh_optimizer:
            _assign(self.optimizer.variables, snapshot.arrays["optimizer"], "optimiser")

    def put_metrics(self, snapshot: Snapshot) -> None:
        """Put back what the epoch's metrics had counted."""
        _assign(self.metrics, snapshot.arrays["metrics"], "metrics")


def put(
    model: keras.Model,
    stateful: StatefulCallbacks,
    snapshot: Snapshot,
    helpers: Sequence[keras.Variable] = (),
) -> None:
    """Put back the model, with the states of its dropout's generators, and what the callbacks remember.

    `helpers` are the variables that learned beside the model's.

    Raises:
        InputError: the snapshot is of another model.
    """
    # `variables` has the seeds of dropout and stochastic depth, which `weights` leaves out.
    _assign([*model.variables, *helpers], snapshot.arrays["model"], "model")
    stateful.put({name: snapshot.state[name] for name in stateful.state()}, snapshot.arrays["best"])


def _values(variables: Iterable[Any]) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray], what: str) -> None:
    have = [tuple(variable.shape) for variable in variables]
    got = [value.shape for value in values]
    if have != got:
        raise InputError(
            f"the checkpoint's {what} has {len(got)} variables of other shapes than the {len(have)} of this "
            "program's: it was saved by another version; --restart begins anew"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
