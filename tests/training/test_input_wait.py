"""What training waits for: seconds that are known, measured where batches are taken."""

import csv
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.config import OptimConfig
from imgrec.data.waiting import Stopwatch
from imgrec.training.fit import fit

OPTIM = OptimConfig(epochs=2, batch_size=4, learning_rate=0.01, warmup_epochs=0)
STEPS = 6


def batches(count: int, pause: float, buffer: int) -> tf.data.Dataset:
    """Batches each of which takes `pause` seconds to make, as many ahead as `buffer` holds."""

    def make(number: np.ndarray) -> np.ndarray:
        time.sleep(pause)
        return np.full((4, 3), number, np.float32)

    def pair(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.numpy_function(make, [number], tf.float32)
        return tf.ensure_shape(images, (4, 3)), tf.one_hot([0, 1, 0, 1], 2)

    return tf.data.Dataset.range(count).map(pair).prefetch(buffer)


def test_the_elements_are_those_of_the_dataset_and_the_wait_is_the_consumer_s() -> None:
    stopwatch = Stopwatch()
    watched = stopwatch.watch(batches(8, 0.02, 1))
    assert watched.element_spec == batches(8, 0, 1).element_spec
    begun = time.perf_counter()
    numbers = [int(images[0, 0]) for images, _ in watched]
    taken = time.perf_counter() - begun
    assert numbers == list(range(8))
    # Nothing else happens: all of the time is waiting, but what Python does between two batches.
    assert 0.12 <= stopwatch.seconds <= taken
    waited = stopwatch.seconds
    for _ in stopwatch.watch(batches(8, 0.005, 1)):
        time.sleep(0.03)  # each batch is ready before it is asked for, but the first
    assert stopwatch.seconds - waited < 0.04


class Slow(keras.callbacks.Callback):
    """A training whose step takes long."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause = pause

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        time.sleep(self.pause)


@pytest.mark.parametrize(("input_pause", "step_pause"), [(0.06, 0.0), (0.0, 0.03), (0.06, 0.03)])
def test_the_share_stands_in_the_history_and_much_of_it_is_said_once(
    input_pause: float, step_pause: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = keras.Input((3,))
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(given))
    fitted = fit(
        model,
        batches(2 * STEPS, input_pause, 1),
        batches(1, 0, 1),
        optim=OPTIM,
        steps_per_epoch=STEPS,
        history_path=tmp_path / "history.csv",
        callbacks=[Slow(step_pause)],
    )
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    shares = [float(row["input_wait"]) for row in rows]
    assert shares == [row["input_wait"] for row in fitted.history]
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    if not input_pause:
        assert max(shares) < 0.2 and not printed
        return
    # Of each 60 ms that a batch takes, the step works for none, or for 30 of them beside.
    expected = 1 - step_pause / input_pause
    assert all(expected - 0.2 < share <= min(1.0, expected + 0.15) for share in shares)
    (line,) = printed
    assert line.startswith(f"warning: training waited for its pictures in {shares[0]:.0%} of epoch 1: try ")
    assert "--cache memory" in line and "--image-size" in line
