"""A phase without steps, whose weights are calculated: an epoch as others are to history, best and resume."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import At, assert_same, batch_of, keep, network, stream, train, validation

from imgrec.training.checkpointing.callback import CheckpointPolicy
from imgrec.training.fit import Fitted, Phase, Solved
from imgrec.training.phase import begins_anew, schedule_end


def _set(model: keras.Model, value: float, calls: list[int] | None = None) -> Solved:
    def solve() -> None:
        model.get_layer("logits").set_weights([np.full((8, 2), value), np.zeros(2)])
        if calls is not None:
            calls.append(1)

    return Solved(validation(), 1, solve=solve)


def test_a_solved_phase_is_an_epoch(tmp_path: Path) -> None:
    model = network()
    phases = [_set(model, 0.0), Phase(stream(2, 1), validation(), 3)]
    _, fitted = train(phases, None, model, history_path=tmp_path / "history.csv")
    first = fitted.history[0]
    labels = np.concatenate([batch_of(1000 + step)[1] for step in range(3)]).argmax(1)
    assert first["val_loss"] == pytest.approx(np.log(2)), "weights of zero say one half"
    assert first["val_accuracy"] == pytest.approx(np.mean(labels == 0)), "a tie goes to the first class"
    assert (first["epoch"], first["learning_rate"]) == (1, 0.0)
    assert "loss" not in first and "loss" in fitted.history[1]
    assert [row["epoch"] for row in fitted.history] == [1, 2, 3]
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert len(lines) == 4 and "loss" in lines[0].split(",")


def test_its_own_figures_are_told_where_asked() -> None:
    model = network()
    phase = Solved(validation(), 1, solve=lambda: None, train=validation())
    row = train([phase], None, model)[1].history[0]
    assert row["loss"] == pytest.approx(row["val_loss"]) and row["accuracy"] == row["val_accuracy"]


def test_its_weights_stay_the_best_where_training_spoils_them() -> None:
    model = network()
    before = [*model.get_layer("stem").get_weights()]

    def spoil(step: int, values: np.ndarray) -> np.ndarray:
        return -50 * values

    def solve() -> None:  # the second feature of two is what the labels move
        head = np.linalg.lstsq(_features(model), 4 * _targets() - 2, rcond=None)[0]
        model.get_layer("logits").set_weights([head, np.zeros(2)])

    phases = [Solved(validation(), 1, solve=solve), Phase(stream(1, 1, change=spoil), validation(), 2)]
    _, fitted = train(phases, None, model)
    assert fitted.best_epoch == 1
    for kept, now in zip(before, model.get_layer("stem").get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)


def _features(model: keras.Model) -> np.ndarray:
    given = np.concatenate([batch_of(1000 + step)[0] for step in range(3)])
    return keras.Model(model.input, model.get_layer("features").output).predict(given, verbose=0)


def _targets() -> np.ndarray:
    return np.concatenate([batch_of(1000 + step)[1] for step in range(3)])


def test_a_training_goes_on_after_it_and_solves_again_within(tmp_path: Path) -> None:
    def run(
        keeping: CheckpointPolicy | None, *more: keras.callbacks.Callback, calls: list[int] | None = None
    ) -> tuple[keras.Model, Fitted]:
        model = network()
        phases = [_set(model, 0.3, calls), Phase(stream(2, 1), validation(), 3)]
        return train(phases, keeping, model, callbacks=list(more))

    whole = run(None)
    with pytest.raises(SystemExit):  # within: nothing is saved yet
        run(keep(tmp_path), At(0, 1, testing=True))
    assert keep(tmp_path).checkpoints.names() == []
    calls: list[int] = []
    with pytest.raises(SystemExit):
        run(keep(tmp_path), At(1, 2), calls=calls)
    assert keep(tmp_path).checkpoints.names() == ["001-000001-00000000", "001-000001-00000003"]
    assert_same(run(keep(tmp_path), calls=calls), whole)
    assert calls == [1], "what is solved is not solved again"


def test_right_after_it_the_next_phase_begins(tmp_path: Path) -> None:
    whole = train([_set(model := network(), 0.3), Phase(stream(1, 1), validation(), 2)], None, model)
    with pytest.raises(SystemExit):
        train(
            [_set(model := network(), 0.3), Phase(stream(1, 1), validation(), 2)],
            keep(tmp_path),
            model,
            callbacks=[At(1, 0)],
        )
    policy = keep(tmp_path)
    policy.checkpoints.set_aside(policy.checkpoints.names()[-1], "gone")
    again = train([_set(model := network(), 9.0), Phase(stream(1, 1), validation(), 2)], policy, model)
    assert_same(again, whole)


def test_schedules_begin_before_and_after() -> None:
    solved = Solved(None, 3, solve=lambda: None)
    phases = [Phase(None, None, 2), solved, Phase(None, None, 5), Phase(None, None, 7)]
    assert [begins_anew(phases, number) for number in range(4)] == [True, True, True, False]
    assert [schedule_end(phases, number) for number in range(3)] == [2, 3, 7]


def test_part_may_be_a_head_on_features() -> None:
    model = network()
    head = keras.Model(model.get_layer("features").output, model.output)
    held = tf.data.Dataset.from_tensor_slices((_features(model), _targets())).batch(4)
    phase = Solved(held, 1, part=head, solve=lambda: None)
    assert train([phase], None, model)[1].history[0]["val_accuracy"] >= 0
