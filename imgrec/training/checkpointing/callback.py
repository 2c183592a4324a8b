"""When a training is saved, and how an epoch goes on that an earlier process began."""

import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import keras

from imgrec.errors import InputError
from imgrec.training.checkpointing.interruption import Interruption
from imgrec.training.checkpointing.store import Checkpoints, Snapshot, Step
from imgrec.training.checkpointing.train_state import LOWER, TrainState
from imgrec.training.nan_guard import BadStep, named
from imgrec.workers import Team

MOST_RETURNS = 3
"""How often a training goes back to a checkpoint because of a bad step."""


@dataclass(frozen=True)
class Interval:
    """How often a training is saved; the one of steps, seconds and epochs that is not 0 counts."""

    steps: int = 0
    seconds: float = 0.0
    epochs: int = 0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read `25` (steps), `10m` (minutes) or `1e` (epochs).

        Raises:
            InputError: something else, or nothing more than 0.
        """
        found = re.fullmatch(r"(\d+)(e?)|(\d+(?:\.\d+)?)m", text.strip())
        if not found or not any(float(number) for number in found.group(1, 3) if number):
            raise InputError(f"--checkpoint-every {text}: expected steps (25), minutes (10m) or epochs (1e)")
        count, epochs, minutes = found.groups()
        if minutes:
            return cls(seconds=60 * float(minutes))
        return cls(epochs=int(count)) if epochs else cls(steps=int(count))

    def is_due(self, steps: int, seconds: float, epochs: int) -> bool:
        """Whether that much since the last checkpoint is enough for the next."""
        return (
            0 < self.steps <= steps or 0 < self.seconds <= seconds or 0 < self.epochs <= epochs
        ) and steps > 0


@dataclass(frozen=True)
class CheckpointPolicy:
    """Where, how often and for what a training is saved."""

    checkpoints: Checkpoints
    interval: Interval
    on_nan: Literal["stop", "rollback"] = "stop"
    team: Team = field(default_factory=Team)
    """Those who train; the chief writes, all read."""

    def newest(self) -> Snapshot | None:
        """Return the newest whole checkpoint, the same on every worker; None where nothing was ever saved.

        Raises:
            InputError: there are checkpoints, but none is whole, or the workers do not see the same.
        """
        found = self.checkpoints.newest() if self.team.is_chief else None
        self.team.meet()  # what is damaged has been set aside
        if not self.team.is_chief:
            found = self.checkpoints.newest()
        self.team.same("the newest checkpoint", str(found.at) if found else "")
        return found

    def save(self, snapshot: Snapshot) -> bool:
        """Write a checkpoint; where that fails, say why and which one stays. Return whether it worked."""
        if not self.team.is_chief:
            return True
        try:
            self.checkpoints.save(snapshot)
        except OSError as why:
            names = self.checkpoints.names()
            stays = f"{names[-1]} stays the newest" if names else "there is none yet"
            print(f"\nno checkpoint at {snapshot.at}: {why}; {stays}", flush=True)
            return False
        return True

    def give_up_or_return(self, bad: BadStep, returns: int, last: Step | None) -> Snapshot:
        """Return the checkpoint to go back to after a bad step; `last` is where the return before went.

        One that has led to a bad step twice is set aside where there is another behind it.

        Raises:
            InputError: the settings say stop, or it was tried often enough, or there is no checkpoint.
        """
        about = f"{bad.advice}{named(bad.images)}"
        if bad.images:
            about += f" (all: {self._list(bad)})"
        older = len(self.checkpoints.names()) > 1
        newest = self.newest()
        if newest is None:
            raise InputError(f"{about}; no checkpoint had been saved") from None
        if self.on_nan == "stop":
            raise InputError(
                f"{about}; the checkpoint at {newest.at} is kept, and --on-nan rollback goes back to it "
                "with a lower rate"
            ) from None
        if returns >= MOST_RETURNS:
            raise InputError(
                f"{about}; after {returns} returns with lower rates; the checkpoint at {newest.at} is kept"
            ) from None
        if newest.at == last and older:
            if self.team.is_chief:
                self.checkpoints.set_aside(self.checkpoints.names()[-1], "bad")
            newest = self.newest() or newest
        print(f"\n{bad}{named(bad.images)}: back to {newest.at}, rate × {LOWER:g}", flush=True)
        return newest

    def begin_anew(self) -> None:
        """Remove what another try has saved."""
        if self.team.is_chief:
            self.checkpoints.clear()
        self.team.meet()

    def _list(self, bad: BadStep) -> Path:
        path = self.checkpoints.folder / "bad_step.txt"
        if not self.team.is_chief:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(f"{image}\n" for image in bad.images), encoding="utf-8", errors="surrogateescape"
        )
        return path


class StepCounter(keras.callbacks.Callback):
    """Counts the steps of an epoch, also of one that begins in the middle; stands first of all callbacks.

    Keras cannot begin an epoch in the middle: that epoch is ended when its last step is done, and what its
    metrics had counted is put back after Keras has cleared them.

    Args:
        phase: number of the phase.
        steps: of an epoch.
    """

    def __init__(self, phase: int, steps: int) -> None:
        super().__init__()
        self.phase, self.steps = phase, steps
        self.epoch = self.step = 0
        self.begun: tuple[TrainState, Snapshot] | None = None

    @property
    def at(self) -> Step:
        """Where the training stands."""
        return Step(self.phase, self.epoch, self.step)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Begin at the first step, or where the process before stopped."""
        self.epoch, self.step = epoch, 0
        if self.begun is not None:
            state, snapshot = self.begun
            self.step = snapshot.at.step
            state.put_metrics(snapshot)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Count the step; Keras would go on for as many as a whole epoch has."""
        self.step += 1
        if self.begun is not None and self.step == self.steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """The next epoch is a whole one."""
        if self.begun is not None:
            self.begun, self.model.stop_training = None, False


class CheckpointCallback(keras.callbacks.Callback):
    """Saves when it is time, and when the process is asked to end; stands last of all callbacks.

    What would be saved after the last step of an epoch is saved when the epoch is judged.
    """

    def __init__(
        self,
        policy: CheckpointPolicy,
        state: TrainState,
        position: StepCounter,
        interruption: Interruption,
        until: int,
    ) -> None:
        super().__init__()
        self.policy, self.state, self.position = policy, state, position
        self.interruption, self.until = interruption, until
        self.logs: Mapping[str, float] = {}
        self._saved()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """From now on there is something to lose."""
        self.interruption.idle = False

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save if it is time and the epoch has more steps, or if asked to end."""
        self.logs = dict(logs or {})
        self.steps += 1
        due = self._is_due_together()
        if self.interruption.asked:
            self._save_and_leave(self.position.at)
        elif self.position.step < self.position.steps and due:
            self.save(self.position.at)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Do not wait for the end of validation, which will be run again."""
        self._is_due_together()
        if self.interruption.asked:
            self._save_and_leave(self.position.at)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save between two epochs; after a phase's last, whoever runs the phases does."""
        self.epochs += 1
        if epoch + 1 >= self.until or self.model.stop_training:
            return
        at = Step(self.position.phase, epoch + 1, 0)
        due = self._is_due_together()
        if self.interruption.asked:
            self._save_and_leave(at)
        elif due:
            self.save(at)

    def save(self, at: Step) -> bool:
        """Save now; return whether it worked."""
        worked = self.policy.save(self.state.take(at, self.logs))
        self._saved()
        self.interruption.idle = worked
        if self.interruption.asked:
            self._leave(at, worked)
        return worked

    def _save_and_leave(self, at: Step) -> None:
        if self.interruption.idle:  # saved a moment ago, at this very step
            self._leave(at, True)
        self.save(at)

    def _leave(self, at: Step, worked: bool) -> None:
        if worked:
            print(f"\nsaved at {at}; the same command goes on from there", flush=True)
        self.interruption.leave()

    def _is_due_together(self) -> bool:
        """Whether it is time for any worker; one that was asked to end asks all, so that all save here."""
        due = self.policy.interval.is_due(self.steps, time.monotonic() - self.since, self.epochs)
        asked, due = self.policy.team.any(bool(self.interruption.asked), due)
        if asked and not self.interruption.asked:
            self.interruption.asked = signal.SIGTERM
        return due

    def _saved(self) -> None:
        self.steps = self.epochs = 0
        self.since = time.monotonic()
