"""Losses and gradients that are no numbers: the step ends the training, goes back, or is skipped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_training import BATCH, OPTIM, At, Change, assert_same, keep, stream, train, validation

from imgrec.errors import InputError
from imgrec.training.checkpointing.train_state import Rollbacks
from imgrec.training.fit import Phase


def spoil(*steps: int) -> Change:
    """One image of these steps is NaN."""

    def change(step: int, values: np.ndarray) -> np.ndarray:
        return (
            np.where(np.arange(BATCH)[:, None] == 2, np.nan, values).astype("float32")
            if step in steps
            else values
        )

    return change


def test_a_poisoned_image_stops_the_step_that_shows_it(tmp_path: Path) -> None:
    names = [f"image-7-{row}" for row in range(BATCH)]
    said = rf"in epoch 2, step 3: lower .*; its images: {', '.join(names)} \(all: .*bad_step.txt\); the "
    said += "checkpoint at epoch 2, after step 2 is kept, and --on-nan rollback"
    with pytest.raises(InputError, match=said):
        train([Phase(stream(3, change=spoil(7)), validation(), 3)], keep(tmp_path, "1"))
    assert (tmp_path / "train" / "bad_step.txt").read_text().split() == names
    kept = keep(tmp_path).checkpoints.newest()
    assert kept is not None
    assert all(np.isfinite(array).all() for arrays in kept.arrays.values() for array in arrays)


def test_a_gradient_that_is_none_is_found_in_its_own_step() -> None:
    """The loss of that step is finite: √|x| is 0 at 0, and its slope infinite."""
    given = keras.Input((6,))
    root = keras.ops.sqrt(keras.ops.abs(keras.layers.Dense(4, use_bias=False)(given)))
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(root))

    def change(step: int, values: np.ndarray) -> np.ndarray:
        return values * (step != 6)

    phases = [Phase(stream(2, change=change), validation(), 2)]
    with pytest.raises(
        InputError, match=r"a weight became no number.* in epoch 2, step 2: .*images: image-6-0"
    ):
        train(phases, None, model)


def test_returning_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mad = replace(OPTIM, learning_rate=1e20)
    tried = "after 3 returns with lower rates; the checkpoint at epoch 1, after step 0 is kept"
    with pytest.raises(InputError, match=rf"in epoch 1, step 2: lower --learning-rate.*{tried}"):
        train([Phase(stream(1), validation(), 1)], keep(tmp_path, on_nan="rollback"), optim=mad)
    assert capsys.readouterr().out.count(": back to epoch 1, after step 0, rate × 0.5") == 3


def test_after_a_return_the_rate_is_half_and_stays_so(tmp_path: Path) -> None:
    """A NaN that does not come again: as of a loss that a lower rate tames."""
    left = [1]

    def once(step: int, values: np.ndarray) -> np.ndarray:
        if step == 8 and left:
            left.clear()
            return values * np.float32(np.nan)
        return values

    phases = [Phase(stream(3, change=once), validation(), 3)]
    _, fitted = train(phases, keep(tmp_path, "1e", "rollback"))
    assert not left
    rates = [row["learning_rate"] for row in fitted.history]
    cosine = [0.05 * (1 + np.cos(np.pi * done / 3)) for done in (1, 2, 3)]
    assert rates == pytest.approx([cosine[0], cosine[1] / 2, 0], abs=1e-7)
    kept = keep(tmp_path).checkpoints.newest()
    assert kept is not None
    assert Rollbacks.of(kept) == Rollbacks(rate=0.5, returns=1), "so that a process that goes on keeps to it"


def small() -> keras.Model:
    keras.utils.set_random_seed(1)
    given = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="relu")(given)
    return keras.Model(given, keras.layers.Dense(2, name="logits", dtype="float32")(hidden))


@pytest.fixture
def float16() -> Any:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.usefixtures("float16")
def test_loss_scaling_skips_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phases = [Phase(stream(3, change=spoil(6, 8)), validation(), 3)]
    whole = train(phases, None, small())
    assert [row["skipped_steps"] for row in whole[1].history] == [0, 2, 0]
    assert all(np.isfinite(value) for row in whole[1].history for value in row.values())
    assert capsys.readouterr().out.count("skipped, a gradient was no number; its images: image-6-0") == 1
    with pytest.raises(SystemExit):
        train(phases, keep(tmp_path), small(), callbacks=[At(1, 2)])  # between the two
    kept = keep(tmp_path).checkpoints.newest()
    assert kept is not None
    assert kept.state["guard"]["skipped"] == 1
    assert any(array.shape == () and array == 2.0**14 for array in kept.arrays["optimizer"]), "halved once"
    assert_same(train(phases, keep(tmp_path), small()), whole)


@pytest.mark.slow
@pytest.mark.usefixtures("float16")
def test_loss_scaling_that_never_gets_anywhere_stops() -> None:
    phases = [Phase(stream(9, change=spoil(*range(3, 99))), validation(), 9)]
    with pytest.raises(InputError, match="loss scaling skipped 31 steps in a row in epoch 7, step 4"):
        train(phases, None, small())
