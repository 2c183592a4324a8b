"""What happens at the end of an epoch: history.csv, best weights, a lower rate."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from imgrec.files import write_csv
from imgrec.training.optim.optimizers import raw
from imgrec.training.optim.schedules import Plateau


class Remembering(keras.callbacks.Callback):
    """A callback that remembers something within an epoch, or from one to the next: saved with a training."""

    remembered: ClassVar[tuple[str, ...]] = ()
    """Names of attributes that JSON can hold."""

    def state(self) -> Any:
        """What it remembers, as JSON can hold it."""
        return {name: getattr(self, name) for name in self.remembered}

    def put(self, state: Any) -> None:
        """Go on from a `state`."""
        for name in self.remembered:
            setattr(self, name, state[name])


class HistoryWriter(Remembering):
    """Keeps one row an epoch and rewrites history.csv with it, whole, at each epoch's end."""

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, float]] = []

    def state(self) -> list[dict[str, float]]:
        """The rows so far."""
        return self.rows

    def put(self, state: Sequence[Mapping[str, float]]) -> None:
        """Go on from a `state`; later rows leave the file too."""
        self.rows = [dict(row) for row in state]
        self._write()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Add the epoch and write the file."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row = {"epoch": epoch + 1, "learning_rate": rate}
        row.update({key: float(value) for key, value in (logs or {}).items()})
        self.rows.append(row)
        self._write()

    def _write(self) -> None:
        if self.path is None or not self.rows:
            return
        # An epoch that was judged after an interruption lacks what only its steps could tell.
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        write_csv(self.path, [columns, *([row.get(name, "") for name in columns] for row in self.rows)])


class BestWeights(Remembering):
    """Keeps the weights of the epoch with the best validation score; `restore` gives them back.

    `patience` > 0 stops the training, or the phase of it, after that many epochs without an improvement.
    A tie goes to the lower validation loss. `whole` is the model whose weights are kept, where
    only a part of it is fitted; `monitor` its name in the history; none before epoch `since` is kept.
    """

    remembered = ("best", "best_epoch", "waiting_since")  # all but the weights, which are arrays

    def __init__(
        self,
        patience: int = 0,
        whole: keras.Model | None = None,
        monitor: str = "val_accuracy",
        since: int = 0,
    ) -> None:
        super().__init__()
        self.patience, self.whole, self.monitor, self.since = patience, whole, monitor, since
        self.best = [-1.0, -math.inf]
        self.best_epoch = self.waiting_since = -1
        self.weights: list[np.ndarray] = []

    def begin_phase(self) -> None:
        """Give each phase its own patience."""
        self.waiting_since = -1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Compare the epoch with the best so far."""
        if epoch < self.since:
            return
        if self.waiting_since < 0:
            self.waiting_since = epoch
        score = [(logs or {})[self.monitor], -(logs or {})["val_loss"]]
        if score > self.best:
            self.best, self.best_epoch = score, epoch
            self.waiting_since, self.weights = epoch, (self.whole or self.model).get_weights()
        elif self.patience and epoch - self.waiting_since >= self.patience:
            name = self.monitor.removeprefix("val_").replace("_", " ")
            print(f"no better validation {name} for {self.patience} epochs: stopping", flush=True)
            self.model.stop_training = True

    def restore(self) -> None:
        """Restore the best weights."""
        if self.weights:
            (self.whole or self.model).set_weights(self.weights)


class ReduceOnPlateau(keras.callbacks.Callback):
    """Lowers the rate of an optimiser with the schedule `Plateau`; all it remembers is in its `state`.

    A validation loss counts as better when it is at least the share `threshold` smaller than the best.
    """

    def __init__(self, schedule: Plateau) -> None:
        super().__init__()
        self.schedule = schedule

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Look at the epoch's validation loss."""
        shape = self.schedule.shape
        share, best, waited = (float(v) for v in keras.ops.convert_to_numpy(self.schedule.state))
        loss = float((logs or {})["val_loss"])
        if math.isinf(best) or loss < best * (1 - shape["threshold"]):
            best, waited = loss, 0.0
        else:
            waited += 1
        if waited >= shape["wait"] and share > shape["floor"]:
            share, waited = max(share * shape["factor"], shape["floor"]), 0.0
            print(
                f"no smaller validation loss for {shape['wait']:g} epochs: rate × {shape['factor']:g}, "
                f"{share:.3g} of the peak",
                flush=True,
            )
        self.schedule.state.assign(np.array([share, best, waited], "float32"))


def plateau(optimizer: keras.optimizers.Optimizer) -> list[keras.callbacks.Callback]:
    """Return the callback that an optimiser with the schedule `Plateau` needs; none for any other."""
    schedule = raw(optimizer)._learning_rate
    return [ReduceOnPlateau(schedule)] if isinstance(schedule, Plateau) else []
