"""The trainer: it learns, repeats itself, keeps the best epoch and stops on a loss that is no number."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.training.callbacks import BestWeights
from imgrec.training.fit import Fitted, Recording, fit

OPTIM = OptimConfig.plain(epochs=3, batch_size=16, learning_rate=0.02, warmup_epochs=0.5, label_smoothing=0.0)


def stripes(count: int, batch: int, repeat: bool) -> tf.data.Dataset:
    """Horizontal against vertical stripes, with noise."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = draw.uniform(0, 120, (count, 16, 16, 1)).astype("float32")
    images[labels == 0, ::4] += 130
    images[labels == 1, :, ::4] += 130
    data = tf.data.Dataset.from_tensor_slices((images, np.eye(2, dtype="float32")[labels])).batch(batch)
    return data.repeat() if repeat else data


def train(optim: OptimConfig = OPTIM, **options: Any) -> tuple[keras.Model, Fitted]:
    keras.utils.set_random_seed(3)
    model = build_model("resnet8", input_shape=(16, 16, 1), num_classes=2)
    fitted = fit(
        model, stripes(64, 16, True), stripes(32, 16, False), optim=optim, steps_per_epoch=4, **options
    )
    return model, fitted


def test_it_learns_and_writes_its_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, fitted = train(dataclasses.replace(OPTIM, epochs=6), recording=Recording(tmp_path / "history.csv"))
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [int(float(row["epoch"])) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert fitted.history[-1]["loss"] < 0.5 * fitted.history[0]["loss"]
    assert fitted.history[fitted.best_epoch - 1]["val_accuracy"] == 1.0
    loss, accuracy = model.evaluate(stripes(32, 16, False), verbose=0)
    assert accuracy == 1.0
    assert loss == pytest.approx(fitted.history[fitted.best_epoch - 1]["val_loss"], rel=1e-4)
    assert "epoch 6/6" in capsys.readouterr().out


def test_one_seed_gives_one_history() -> None:
    timing = {"images_per_second", "seconds", "input_wait"}
    (first, a), (second, b) = train(), train()
    strip = [[{k: v for k, v in row.items() if k not in timing} for row in f.history] for f in (a, b)]
    assert strip[0] == strip[1]
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_best_epoch_is_kept_and_patience_stops() -> None:
    model = build_model("lenet5", input_shape=(28, 28, 1), num_classes=2)
    keeper = BestWeights(patience=2)
    keeper.set_model(model)
    scores = [(0.5, 1.0), (0.8, 0.9), (0.8, 0.7), (0.7, 0.1), (0.7, 0.1)]
    for epoch, (accuracy, loss) in enumerate(scores):
        model.set_weights([np.full_like(w, epoch) for w in model.get_weights()])
        keeper.on_epoch_end(epoch, {"val_accuracy": accuracy, "val_loss": loss})
    assert model.stop_training
    keeper.restore()
    assert {float(w.max()) for w in model.get_weights()} == {2.0}


def test_a_loss_that_is_no_number_stops_at_once() -> None:
    with pytest.raises(InputError, match=r"the loss became nan in epoch 1, step \d: lower --learning-rate"):
        train(dataclasses.replace(OPTIM, learning_rate=1e20, warmup_epochs=0))


def test_mirrored_over_one_device_trains() -> None:
    strategy, line = runtime.choose_strategy("mirrored")
    assert line == "mirrored over 1 device(s)"
    with runtime.scope(strategy):
        model = build_model("resnet8", input_shape=(16, 16, 1), num_classes=2)
    data = stripes(64, 16, True), stripes(32, 16, False)
    fitted = fit(model, *data, optim=OPTIM, steps_per_epoch=4, strategy=strategy)
    assert len(fitted.history) == 3
