"""The live line of a training: how far it is, how well it does, how long all of it will take yet."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgrec.training.callbacks import Remembering


@dataclass(frozen=True)
class Ahead:
    """What comes after a training and takes time: measuring, fine-tuning, exporting."""

    epochs: float = 0.0
    """As many of its epochs take about as long."""
    seconds: float = 0.0
    """So much more."""


class Progress(Remembering):
    """One live line: epoch, step, loss, accuracy, images a second, time left; then one line an epoch.

    On a terminal the line rewrites itself; elsewhere only the epochs' lines are printed. A figure for which
    there is nothing to measure yet is left out. `ahead` counts as what is left.
    """

    def __init__(
        self,
        epochs: int,
        steps: int,
        batch_size: int,
        score: str = "accuracy",
        ahead: Ahead | None = None,
    ) -> None:
        super().__init__()
        self.score, self.ahead = score, ahead
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self.until = epochs
        """The last epoch, from 1, that takes as long as those now."""
        self.live = sys.stdout.isatty()
        self.images_per_second = self.seconds = 0.0
        self.epoch_begun = time.perf_counter()
        self.first_step = 0
        """Steps of the first epoch that an earlier process took."""

    def state(self) -> dict[str, float]:
        """How long the epoch has taken so far."""
        return {"seconds": round(self.seconds + time.perf_counter() - self.epoch_begun, 3)}

    def put(self, state: Mapping[str, float]) -> None:
        """Go on from a `state`, in the middle of an epoch."""
        self.seconds = state["seconds"]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Each phase of a training has its own pace."""
        self.shown = self.images_per_second = self.epoch_lasts = self.step_lasts = 0.0
        self.first_epoch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the epoch's clock; the first step of all, which compiles, is left out of every pace."""
        self.epoch = epoch
        self.first_epoch = epoch if self.first_epoch is None else self.first_epoch
        self.counted, self.test_compiled = 0, 0.0
        self.epoch_begun = self.counted_since = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Measure the pace, and rewrite the live line ten times a second."""
        now = time.perf_counter()
        if batch == 0 and self.epoch == self.first_epoch:
            self.counted_since = now
        else:
            self.counted += 1
            self.step_lasts = max(now - self.counted_since, 1e-9) / self.counted
            self.images_per_second = self.batch_size / self.step_lasts
        if self.live and now - self.shown >= 0.1:
            self.shown = now
            print(f"\r\x1b[2K{self._line(self._skipped() + batch + 1, logs or {})}", end="", flush=True)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Note when validation begins."""
        self.test_begun = time.perf_counter()

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note how long the first batch of all took, which compiles."""
        if batch == 0 and self.epoch == self.first_epoch:
            self.test_compiled = time.perf_counter() - self.test_begun

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print the epoch's line and hand the rate to the history."""
        now = time.perf_counter()
        compiling = self.counted_since - self.epoch_begun + self.test_compiled
        # The steps that the first one, or an earlier process, took in other time.
        missing = (self.steps - self.counted) * self.step_lasts
        self.epoch_lasts = now - self.epoch_begun - compiling + missing if self.counted else 0.0
        if logs is not None:
            if self.images_per_second:
                logs["images_per_second"] = round(self.images_per_second, 1)
            logs["seconds"] = round(self.seconds + now - self.epoch_begun, 2)
        self.seconds, self.epoch_begun = 0.0, now
        print(("\r\x1b[2K" if self.live else "") + self._line(self.steps, logs or {}), flush=True)

    def _skipped(self) -> int:
        return self.first_step if self.epoch == self.first_epoch else 0

    def _line(self, step: int, logs: Mapping[str, float]) -> str:
        parts = [f"epoch {self.epoch + 1}/{self.epochs}"]
        if step < self.steps:
            parts.append(f"step {step}/{self.steps}")
        names = {"loss": "loss", "accuracy": "acc", "val_loss": "val_loss", "val_accuracy": "val_acc"}
        names |= {"val_balanced_accuracy": "balanced", "f1": "F1", "val_f1": "val_F1"}
        if f"val_{self.score}" not in names:
            names |= {self.score: self.score, f"val_{self.score}": f"val_{self.score}"}
        parts += [f"{short} {logs[name]:.4f}" for name, short in names.items() if name in logs]
        if pace := self.images_per_second:
            parts.append(f"{pace:,.0f} img/s" if pace >= 10 else f"{pace:.2g} img/s")
        return "  ".join([*parts, *self._left(step)])

    def _left(self, step: int) -> list[str]:
        """How long the rest will take, after `step` steps of the epoch."""
        lasts = self.epoch_lasts or self.steps * self.step_lasts
        if not lasts:
            return []
        seconds = lasts * (self.until - self.epoch - step / self.steps)
        if self.until < self.epochs:  # what the others will take is not known yet
            return [f"{_clock(seconds)} to epoch {self.until}"]
        if self.ahead is None:
            return [f"{_clock(seconds)} left"]
        seconds += lasts * self.ahead.epochs + self.ahead.seconds
        return [f"about {_clock(seconds)} left, exports included"]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
