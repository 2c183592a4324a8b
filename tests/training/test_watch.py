"""What is said of a training that leads nowhere, and that it begins anew with half the rate, once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_training import OPTIM, STEPS, At, assert_same, keep, network, stream, validation

from imgrec.training.checkpointing.callback import CheckpointPolicy
from imgrec.training.fit import Fitted, Phase, Recording, fit_phases
from imgrec.training.phase import Goal
from imgrec.training.watch import Constant, Watch

EVEN = Constant("cat", float(np.log(2)), (0.5, 0.5), (2000, 12))


def run(
    rate: float,
    *,
    retry: bool,
    keeping: CheckpointPolicy | None = None,
    callbacks: Any = (),
    change: Any = None,
    epochs: int = 2,
    path: Path | None = None,
    constant: Constant | None = EVEN,
) -> tuple[keras.Model, Fitted]:
    model = network()
    watch = Watch(constant, 12, epochs)
    watch.least = 2
    return model, fit_phases(
        model,
        [Phase(stream(epochs, change=change), validation(), epochs)],
        optim=replace(OPTIM, epochs=epochs, learning_rate=rate),
        steps_per_epoch=STEPS,
        recording=Recording(path, callbacks, keeping, watch, retry),
    )


def blown_up(step: int, values: np.ndarray) -> np.ndarray:
    """Finite, and without sense."""
    return values * (1e4 if step == 3 else 1)


class Explode(keras.callbacks.Callback):
    """Makes the loss explode while the rate is above 0.06."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if batch == 1 and rate > 0.06:
            head = self.model.get_layer("logits")
            head.set_weights([w * 0 + [1e6, -1e6] for w in head.get_weights()])


def test_an_exploding_loss_is_said_and_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    _, fitted = run(0.1, retry=False, callbacks=[Explode()])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert len(said) == 1 and "the loss exploded to" in said[0]
    assert "lower --learning-rate from 0.1 to 0.025, or lengthen --warmup-epochs" in said[0]
    assert len(fitted.history) == 2 and (fitted.rate, fitted.retried) == (0.1, False)


def test_it_begins_anew_with_half_the_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.csv"
    found = run(0.1, retry=True, callbacks=[Explode()], path=path)
    out = capsys.readouterr().out
    assert out.count("beginning anew with half the rate, 0.05") == 1 and "warning" not in out
    assert (found[1].rate, found[1].retried) == (0.05, True)
    half = run(0.05, retry=False)
    assert_same(found, half)
    assert len(path.read_text().splitlines()) == 3, "the first try is not in it"


def test_a_second_time_it_is_only_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, fitted = run(0.4, retry=True, callbacks=[Explode()])
    out = capsys.readouterr().out
    assert out.count("beginning anew") == 1 and out.count("warning: the loss exploded") == 1
    assert fitted.rate == 0.2


def test_no_number_is_an_explosion_too(capsys: pytest.CaptureFixture[str]) -> None:
    tries: list[int] = []

    def change(step: int, values: np.ndarray) -> np.ndarray:
        tries.append(step)
        return values * (np.nan if len(tries) == 3 else 1)

    assert run(0.1, retry=True, change=change)[1].rate == 0.05
    assert "in epoch 1, step 3: beginning anew with half the rate, 0.05" in capsys.readouterr().out


def test_a_try_that_is_killed_goes_on_as_the_second(tmp_path: Path) -> None:
    whole = run(0.1, retry=True, callbacks=[Explode()])
    # The first try had saved its first steps; then the second is stopped in its first epoch, and between.
    with pytest.raises(SystemExit):
        run(0.1, retry=True, callbacks=[Explode(), Second(2)], keeping=keep(tmp_path, "1"))
    names = keep(tmp_path).checkpoints.names()
    assert names[-1] == "000-000000-00000003"
    assert_same(run(0.1, retry=True, callbacks=[Explode()], keeping=keep(tmp_path, "1")), whole)
    again = run(0.1, retry=True, keeping=keep(tmp_path, "1"))
    assert (again[1].rate, again[1].retried) == (0.05, True), "known where all is done already"


class Second(At):
    """Ends the process at a step of the try with the lower rate."""

    def __init__(self, step: int) -> None:
        super().__init__(0, step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)) < 0.06:
            super().on_train_batch_end(batch, logs)


def test_a_model_that_learns_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("imgrec.training.watch.STEPS", 10)
    nothing = Constant("cat", 0.0, (1.0, 1.0), (2000, 12))  # than which nothing is better
    run(0.1, retry=False, constant=nothing)
    said = capsys.readouterr().out
    assert said.count("warning: after 2 epochs nothing is learned: ") == 1
    assert "and 'cat' for all of them is 100.0" in said and "or let --lr-find suggest one" in said
    assert run(0.1, retry=True, constant=nothing)[1].rate == 0.05


def test_one_that_learns_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run(0.05, retry=True, epochs=4)
    out = capsys.readouterr().out
    assert "exploded" not in out and "nothing" not in out and "anew" not in out
    assert "note: 12 validation images choose the best epoch: their accuracy is known to ± 28 points" in out


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_constant_answer_s_loss_is_the_entropy_of_the_classes(smoothing: float) -> None:
    train, val = np.array([60, 30, 10]), np.array([5, 4, 1])
    found = Constant.of(Goal.accuracy(smoothing).loss, train, val, ["a", "b", "c"])
    targets = (1 - smoothing) * train / 100 + smoothing / 3  # what smoothed targets are on average
    assert found.loss == pytest.approx(-(targets * np.log(targets)).sum(), rel=2e-3)
    assert (found.name, found.shares, found.images) == ("a", (0.6, 0.5), (100, 10))


def test_within_chance_of_the_largest_class() -> None:
    found = Constant("a", 1.0, (0.5, 0.5), (100, 25))
    logs = {"loss": 1.0, "val_loss": 1.2, "accuracy": 0.59, "val_accuracy": 0.69}
    assert found.is_reached(logs)
    assert not found.is_reached({**logs, "accuracy": 0.61})
    assert not found.is_reached({**logs, "val_accuracy": 0.71})
    assert not found.is_reached({**logs, "loss": 0.97})
