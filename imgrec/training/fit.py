"""The one trainer: compile, fit with the standard callbacks, give the history back."""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras

from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.training.callbacks import BestWeights, HistoryWriter, Remembering
from imgrec.training.checkpointing.store import Snapshot
from imgrec.training.checkpointing.train_state import Rollbacks, StatefulCallbacks, put
from imgrec.training.leg import Leg
from imgrec.training.nan_guard import BadStep, NaNGuard, named
from imgrec.training.optim.optimizers import go_to_step
from imgrec.training.phase import Goal as Goal
from imgrec.training.phase import Phase as Phase  # those who train find all of it here
from imgrec.training.phase import Solved as Solved
from imgrec.training.phase import Stream as Stream
from imgrec.training.phase import begins_anew, schedule_end
from imgrec.training.progress import Progress
from imgrec.training.recording import Fitted as Fitted
from imgrec.training.recording import Recording as Recording
from imgrec.training.setup import Setup
from imgrec.training.watch import GoneWrong


def fit(
    model: keras.Model,
    train: Any,
    validation: Any,
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    **options: Any,
) -> Fitted:
    """Train `model` in place and leave it with the weights of its best validation epoch.

    `train` and `validation` are `tf.data.Dataset`s of (images float32 `[B, H, W, C]` in 0…255, targets
    float32 `[B, num_classes]`); `train`, or a `Stream` of such, holds `optim.epochs` × `steps_per_epoch`
    batches. `options` are those of `fit_phases`.

    Raises:
        InputError: as `fit_phases`.
    """
    phases = [Phase(train, validation, optim.epochs)]
    return fit_phases(model, phases, optim=optim, steps_per_epoch=steps_per_epoch, **options)


def fit_phases(
    model: keras.Model,
    phases: Sequence[Phase],
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    goal: Goal | None = None,
    strategy: Any = None,
    recording: Recording | None = None,
) -> Fitted:
    """As `fit`, in phases: one history, and one optimiser and schedule up to where a phase restarts them.

    Every other phase begins at the schedule's step of its first epoch, also where `optim.patience` ended the
    one before early. `goal` says what is minimised and what the best epoch is highest in; by default
    cross-entropy of classes with `optim.label_smoothing`, and accuracy.

    With `recording.retry` a training that leads nowhere begins anew, once, with half the rate: one in which
    `recording.watch` sees no learning or an exploding loss, or in which a step goes bad where that would end
    it. With `recording.policy` the training is saved and goes on from the newest whole checkpoint where there
    is one, as if it had not stopped; SIGTERM and SIGINT save before the process ends.

    Raises:
        InputError: the loss or a weight became NaN or infinite, or no checkpoint can be used.
    """
    goal, recording = goal or Goal.accuracy(optim.label_smoothing), recording or Recording()
    stateful = StatefulCallbacks(
        HistoryWriter(recording.history_path),
        BestWeights(optim.patience, model, f"val_{goal.score}", recording.best_since),
        Progress(phases[-1].until, steps_per_epoch, int(optim.batch_size), goal.score, recording.ahead),
        NaNGuard(),
        tuple(
            callback
            for callback in (*recording.callbacks, recording.watch)
            if isinstance(callback, Remembering)
        ),
    )
    setup = Setup(
        model=model,
        phases=phases,
        optim=optim,
        steps=steps_per_epoch,
        goal=goal,
        strategy=strategy,
        recording=recording,
        stateful=stateful,
    )
    rollbacks = _run(setup)
    stateful.best.restore()
    for phase in phases:
        if isinstance(phase, Solved) and phase.settle and stateful.best.best_epoch == phase.until - 1:
            phase.settle()
    rate = setup.rate(rollbacks)
    return Fitted(stateful.history.rows, stateful.best.best_epoch + 1, rate, rollbacks.retried)


def _run(setup: Setup) -> Rollbacks:
    """Train from the beginning, or from the newest checkpoint; go back after a bad step, or begin anew."""
    policy = setup.recording.policy
    # What a process begins with that goes on is the same: weights are drawn by the seed.
    values = setup.initial()
    with setup.interruption.installed() if policy else contextlib.nullcontext():
        start, last = policy.newest() if policy else None, None
        if start:
            done = start.at.phase == len(setup.phases)
            print("trained already" if done else f"going on at {start.at}", flush=True)
        rollbacks = Rollbacks.of(start)
        while True:
            try:
                _run_from(setup, start, rollbacks)
                return rollbacks
            except (BadStep, GoneWrong) as bad:
                setup.interruption.idle = True
                back = policy is not None and policy.on_nan == "rollback"
                if isinstance(bad, GoneWrong) or (setup.may_retry(rollbacks) and not back):
                    start, last, rollbacks = None, None, rollbacks.anew()
                    print(
                        f"\n{bad}: beginning anew with half the rate, {setup.rate(rollbacks):g}", flush=True
                    )
                    setup.begin_anew(values)
                elif policy is None:
                    raise InputError(f"{bad.advice}{named(bad.images)}") from None
                else:
                    start = policy.give_up_or_return(bad, rollbacks.returns, last)
                    last, rollbacks = start.at, rollbacks.lowered()


def _run_from(setup: Setup, start: Snapshot | None, rollbacks: Rollbacks) -> None:
    """Run the phases, or those that `start` is not beyond."""
    phases = setup.phases
    if start and start.at.phase == len(phases):
        put(setup.model, setup.stateful, start, setup.helpers)
        return
    begin = origin = 0
    optimizer: keras.optimizers.Optimizer | None = None
    for number, phase in enumerate(phases):
        if begins_anew(phases, number):
            origin, end, optimizer = begin, schedule_end(phases, number), None
        if not start or start.at.phase <= number:
            optimizer = optimizer or setup.optimizer(phase, end - origin, rollbacks)
            go_to_step(optimizer, (begin - origin) * setup.steps)
            Leg(setup, number, begin, optimizer, rollbacks).run(start)
        begin = phase.until
