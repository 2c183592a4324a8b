"""A training that was stopped goes on as if it had not been; in one process, at chosen places."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_training import (
    BATCH,
    OPTIM,
    STEPS,
    At,
    assert_same,
    batch_of,
    keep,
    network,
    stream,
    train,
    two,
    validation,
)

from imgrec.training.checkpointing.callback import CheckpointPolicy
from imgrec.training.checkpointing.store import Checkpoints
from imgrec.training.fit import Fitted, Phase
from imgrec.training.monitor import Monitor


def test_every_phase_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = train(two(), None)
    with pytest.raises(SystemExit) as stopped:
        train(two(), keep(tmp_path), callbacks=[At(1, 3)])
    assert stopped.value.code == 143
    assert capsys.readouterr().out.splitlines()[-1].startswith("saved at epoch 2, after step 4; the same")
    with pytest.raises(SystemExit):
        train(two(), keep(tmp_path), callbacks=[At(3, 0)])
    seen: list[int] = []
    assert_same(train(two(seen), keep(tmp_path)), whole)
    assert seen == list(range(3 * STEPS + 1, 4 * STEPS)), "what comes before is not loaded"
    assert "going on at epoch 4, after step 1\n" in capsys.readouterr().out
    # What is done is not done again, and its best epoch comes back.
    assert_same(train(two(seen), keep(tmp_path)), whole)
    assert len(seen) == STEPS - 1


def test_a_plain_dataset_runs_through_what_was_done() -> None:
    phase = Phase(stream(2).batches(0), validation(), 2)
    for done in (0, 7):
        left = [values.numpy() for values, _ in phase.batches(done)]
        np.testing.assert_array_equal(left, [batch_of(step)[0] for step in range(done, 2 * STEPS)])
    assert phase.images(3) == ()


def test_an_epoch_stopped_in_its_validation_is_judged_again(tmp_path: Path) -> None:
    phases = [Phase(stream(2), validation(), 2)]
    whole = train(phases, None)
    with pytest.raises(KeyboardInterrupt):
        train(phases, keep(tmp_path), callbacks=[At(0, 1, number=signal.SIGINT, testing=True)])
    assert keep(tmp_path).checkpoints.names() == [f"000-000000-{STEPS:08d}"]
    assert_same(train(phases, keep(tmp_path)), whole)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"ema": 0.6, "accumulate": 2, "schedule": "plateau(wait=1, threshold=0.5)"},
            marks=pytest.mark.slow,
        ),
        {"swa_epochs": 2, "sam": 0.05, "optimizer": "adamw", "learning_rate": 0.01},
    ],
    ids=["ema", "swa"],
)
def test_averages_plateau_and_looks_go_on(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Stopped in a validation, with the average in the model, and in the middle of an epoch."""

    def part(keeping: CheckpointPolicy | None, *more: keras.callbacks.Callback) -> tuple[keras.Model, Fitted]:
        model, optim = network(), replace(OPTIM, epochs=3, **settings)
        groups = {name: model.get_layer(name).trainable_variables for name in ("stem", "logits")}
        looking = Monitor(groups, 2, BATCH, accumulate=optim.accumulate)
        phases = [Phase(stream(3), validation(), 3)]
        return train(phases, keeping, model, optim=optim, callbacks=[looking, *more])

    whole = part(None)
    for where in (At(1, 1, testing=True), At(2, 1)):
        with pytest.raises(SystemExit):
            part(keep(tmp_path), where)
    assert_same(part(keep(tmp_path)), whole)


def test_two_hundred_checkpoints_leave_nothing_behind(tmp_path: Path) -> None:
    """Open files and memory between the 20th and the 200th."""
    sizes: dict[int, tuple[int, int]] = {}

    class Measure(keras.callbacks.Callback):
        saves = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.saves += 1
            if self.saves in (20, 199):
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                sizes[self.saves] = (len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE"))

    epochs = 200 // STEPS
    given = keras.Input((6,))
    wide = keras.layers.Dense(10_000, name="wide")(given)  # 0.4 MB of weights and as much of momentum
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(wide))
    phases = [Phase(stream(epochs), validation(), epochs)]
    train(
        phases,
        keep(tmp_path, "1"),
        model,
        optim=replace(OPTIM, epochs=epochs, learning_rate=1e-5),
        callbacks=[Measure()],
    )
    assert sizes[199][0] <= sizes[20][0]
    assert sizes[199][1] - sizes[20][1] < 20e6, "180 checkpoints of 1.1 MB are 200 MB"
    assert len(keep(tmp_path).checkpoints.names()) == 2


def test_a_disk_that_is_full_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest, saves = Checkpoints.save, []

    def save(self: Checkpoints, snapshot: Any) -> Path:
        saves.append(snapshot.at)
        if len(saves) > 1:
            raise OSError(28, "No space left on device")
        return honest(self, snapshot)

    monkeypatch.setattr(Checkpoints, "save", save)
    _, fitted = train([Phase(stream(3), validation(), 3)], keep(tmp_path))
    assert len(fitted.history) == 3
    said = capsys.readouterr().out
    assert "no checkpoint at epoch 3, after step 0: [Errno 28] No space left on device" in said
    assert said.count("000-000001-00000000 stays the newest") == 2
    assert keep(tmp_path).checkpoints.names() == ["000-000001-00000000"]
