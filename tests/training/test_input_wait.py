"""What training waits for: seconds that are known, measured where batches are taken."""

import csv
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.config import OptimConfig
from imgrec.training import input_wait
from imgrec.training.fit import Recording, fit
from imgrec.training.input_wait import InputWait, Stopwatch

OPTIM = OptimConfig.plain(epochs=2, batch_size=4, learning_rate=0.01, warmup_epochs=0)
STEPS = 4


def batches(count: int, pause: float) -> tf.data.Dataset:
    """Batches each of which takes `pause` seconds to make, none of them ahead."""

    def make(number: np.ndarray) -> np.ndarray:
        time.sleep(pause)
        return np.full((4, 3), number, np.float32)

    def pair(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.numpy_function(make, [number], tf.float32)
        return tf.ensure_shape(images, (4, 3)), tf.one_hot([0, 1, 0, 1], 2)

    return tf.data.Dataset.range(count).map(pair)


def taken(dataset: tf.data.Dataset, pause: float) -> tuple[list[int], float]:
    """The batches' numbers, and the seconds within `next`; `pause` seconds go by between two batches."""
    iterator, numbers, inside = iter(dataset), [], 0.0
    while True:
        begun = time.perf_counter()
        batch = next(iterator, None)
        inside += time.perf_counter() - begun
        if batch is None:
            return numbers, inside
        numbers.append(int(batch[0][0, 0]))
        time.sleep(pause)


def test_the_elements_are_those_of_the_dataset_and_the_wait_is_the_consumer_s() -> None:
    stopwatch = Stopwatch()
    watched = stopwatch.watch(batches(6, 0.05))
    assert watched.element_spec == batches(6, 0.05).element_spec
    numbers, inside = taken(watched, 0.0)
    assert numbers == list(range(6))
    # Each batch is 50 ms of waiting; nothing is counted that is not spent in taking one.
    assert 6 * 0.05 * 0.98 <= stopwatch.seconds <= inside
    waited = stopwatch.seconds
    # Batches that are made while the consumer is busy are waited for less than they take to make.
    _, inside = taken(stopwatch.watch(batches(6, 0.1).prefetch(6)), 0.3)
    assert stopwatch.seconds - waited <= inside
    assert stopwatch.seconds - waited < 6 * 0.1


class _Given:
    seconds = 0.0


@pytest.mark.parametrize(("waited", "share"), [(0.5, 0.125), (0.8, 0.2), (3.6, 0.9), (0.0, 0.0)])
def test_the_share_is_that_of_all_steps_but_the_first(
    waited: float, share: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(input_wait, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    callback, stopwatch = InputWait(), _Given()
    monkeypatch.setattr(callback, "_stopwatch", stopwatch)
    for epoch in range(2):
        now[0] += 7.0  # the first step compiles and waits; neither counts
        stopwatch.seconds += 6.0
        callback.on_train_batch_end(0)
        for batch in range(1, 5):
            now[0] += 1.0
            stopwatch.seconds += waited / 4
            callback.on_train_batch_end(batch)
        now[0] += 9.0  # validation
        logs: dict[str, float] = {}
        callback.on_epoch_end(epoch, logs)
        assert logs["input_wait"] == pytest.approx(share)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (share >= 0.2)
    if lines:
        assert lines[0].startswith(f"warning: training waited for its images in {share:.0%} of epoch 1: try ")
        assert "--cache memory" in lines[0] and "--image-size" in lines[0]


def test_an_epoch_of_one_step_waits_for_nothing() -> None:
    callback, logs = InputWait(), {}
    callback.watch(batches(1, 0.0))
    callback.on_train_batch_end(0)
    callback.on_epoch_end(0, logs)
    assert logs == {"input_wait": 0.0}


def test_a_training_that_waits_says_so_in_its_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = keras.Input((3,))
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(given))
    path = tmp_path / "history.csv"
    # A step of this model takes a millisecond; 100 times as much leaves room for a busy machine.
    data = batches(2 * STEPS, 0.1), batches(1, 0.0)
    fitted = fit(model, *data, optim=OPTIM, steps_per_epoch=STEPS, recording=Recording(path))
    shares = [float(row["input_wait"]) for row in csv.DictReader(path.read_text().splitlines())]
    assert shares == [row["input_wait"] for row in fitted.history]
    assert all(0.2 <= share <= 1.0 for share in shares)
    assert capsys.readouterr().out.count("warning: training waited") == 1


def test_with_a_strategy_nothing_is_measured() -> None:
    data = batches(1, 0.0)
    callback, logs = InputWait(), {}
    assert callback.watch(data, strategy=object()) is data
    callback.on_train_batch_end(0)
    callback.on_epoch_end(0, logs)
    assert logs == {}
