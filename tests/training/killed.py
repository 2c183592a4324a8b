"""A trainer that is killed: a program for `test_killed.py`, which runs it as a process of its own.

It imports TensorFlow once and forks for every start of the trainer: TensorFlow has no threads and no runtime
before its first operation, so a child is a process like any other, but for the six seconds of the import.

    python -m tests.training.killed FOLDER EPOCHS KILLS TERMS SEED [SETTING=VALUE …]

trains once as a whole, once with KILLS times SIGKILL, once with TERMS times SIGTERM, and writes
FOLDER/outcome.json. Every child runs `runs.training.train` on the same settings until the training is done,
and notes in FOLDER/NAME.log what it trains on, from within the step: `ids …` as the model sees the batch,
`done PHASE EPOCH STEP` after it. What came of it stays as FOLDER/NAME.unfinished.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgrec import files
from imgrec.config import Config
from imgrec.data import pipeline as pipeline  # these here so that no child has to import them
from imgrec.data.augment import compose as compose
from imgrec.layers.normalization import BatchNormalization
from imgrec.layers.residual import StochasticDepth
from imgrec.learning import imbalance as imbalance
from imgrec.learning import transfer as transfer
from imgrec.models import widths
from imgrec.runs import results
from imgrec.runs.training import train
from imgrec.training import leg
from imgrec.training.checkpointing import callback as saver
from imgrec.training.checkpointing import store as checkpoint

IMAGES, SIDE, BATCH = 120, 8, 6
PAUSE = 0.02
"""Seconds to sleep after a step, so that there is time to be killed in, without using the processor."""
SETTINGS: dict[str, Any] = {
    "model": "lenet5",
    "batch_size": BATCH,
    "learning_rate": 0.05,
    "warmup_epochs": 0.5,
    "crop": "none",
    "flip": False,
    "mixup": 0.0,
    "quantize": "none",
    "audit": False,
    "precision": "float32",
    "tensorboard": False,
    "checkpoint_every": "3",
    "deterministic": True,
}
log: int = -1
waits: list[float] = []
"""Seconds from each SIGTERM to the end of the process."""


class Tap(keras.layers.Layer):
    """Notes the ids of the images that go through it in training; they stand in the first two pixels."""

    def call(self, x: Any, training: bool | None = None) -> Any:
        if not training:
            return x

        def note(pixels: np.ndarray) -> np.ndarray:
            ids = (pixels[:, 0, 0, 0] * 256 + pixels[:, 0, 1, 0]).astype(int)
            os.write(log, f"ids {' '.join(map(str, ids))}\n".encode())
            return np.float32(0)

        return x + tf.ensure_shape(tf.numpy_function(note, [x], tf.float32), [])


def tiny(name: str, input_shape: Any, num_classes: int, **options: Any) -> keras.Model:
    """Every kind of state there is: normalisation, dropout, stochastic depth."""
    image = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(Tap(name="tap")(image))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(x)
    x = BatchNormalization(name="bn")(x)
    branch = StochasticDepth(0.3, name="depth")(keras.layers.Conv2D(4, 3, padding="same", name="branch")(x))
    x = keras.layers.ReLU(name="relu")(keras.layers.Add(name="add")([x, branch]))
    x = keras.layers.Dropout(0.3, name="dropout")(keras.layers.Flatten(name="features")(x))
    return keras.Model(image, keras.layers.Dense(num_classes, name="logits")(x), name="lenet5")


class Noting(saver.StepCounter):
    """Notes every step that was taken."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        os.write(log, f"done {self.phase} {self.epoch} {self.step}\n".encode())
        time.sleep(PAUSE)


class Done(BaseException):
    """The training is over, and its last checkpoint written."""


def trainer(folder: Path, name: str, data: Path, in_save: int) -> None:
    """Be a trainer process; with `in_save` one that is killed at that flush or rename of a checkpoint."""
    global log
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, b"start\n")
    widths.build_model = tiny
    leg.StepCounter = Noting
    if in_save:
        die_in_save(in_save)

    def over(*arguments: Any) -> None:
        raise Done

    results.evaluate = over
    config = Config().replace(**SETTINGS, data=f"npz:{data}", out=str(folder / name))
    train(config)


def die_in_save(count: int) -> None:
    """Kill this process at its `count`-th write, flush or rename for a checkpoint."""
    left = [count]

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    checkpoint.sync = mortal(files.sync)
    checkpoint.np = type("np", (), {"savez": mortal(np.savez), "load": np.load})
    checkpoint.os = type("os", (), {"replace": mortal(os.replace)})


def start(folder: Path, name: str, data: Path, in_save: int = 0) -> int:
    """Fork a trainer; return its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    said = os.open(folder / f"{name}.out", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    code = 1
    try:
        trainer(folder, name, data, in_save)
    except Done:
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


def ended(child: int) -> int:
    """Wait for a process; return its exit code, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stopped(folder: Path, name: str, data: Path, kind: str, number: int, draw: random.Random) -> list[int]:
    """Run one training in as many processes as it takes, `number` of them stopped; return the exit codes."""
    codes = []
    for attempt in range(number):
        if kind == "kill" and attempt % 4 == 3:  # at one of the writes, flushes and renames of checkpoints
            child = start(folder, name, data, in_save=draw.randint(1, 26))
        elif kind == "kill" and attempt % 4 == 2:  # at any moment, most likely while it starts
            child = start(folder, name, data)
            kill(child, signal.SIGKILL, draw.uniform(0, 2))
        else:  # after so many steps, at any moment of the next
            wanted = steps_noted(folder, name) + draw.randint(1, 8)
            child = start(folder, name, data)
            while steps_noted(folder, name) < wanted and not has_ended(child):
                time.sleep(0.003)
            kill(child, signal.SIGKILL if kind == "kill" else signal.SIGTERM, draw.uniform(0, PAUSE))
        begun = time.monotonic()
        codes.append(ended(child))
        waits.append(time.monotonic() - begun)
        if codes[-1] == 0:
            return codes
    return [*codes, ended(start(folder, name, data))]


def kill(child: int, number: int, after: float) -> None:
    time.sleep(after)
    os.kill(child, number)  # one that has ended is waiting to be asked for its exit code


def has_ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def steps_noted(folder: Path, name: str) -> int:
    path = folder / f"{name}.log"
    return path.read_text().count("done") if path.exists() else 0


def main() -> None:
    folder, (epochs, kills, rollbacks, seed) = Path(sys.argv[1]), map(int, sys.argv[2:6])
    SETTINGS["epochs"] = epochs
    SETTINGS.update(setting.split("=", 1) for setting in sys.argv[6:])
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (IMAGES, SIDE, SIDE), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(IMAGES) // 256, np.arange(IMAGES) % 256
    data = folder / "data.npz"
    np.savez(data, images=images, labels=np.arange(IMAGES) % 3)
    codes = {"whole": [ended(start(folder, "whole", data))]}
    for kind, number in (("kill", kills), ("term", rollbacks)):
        waits.clear()
        codes[kind] = stopped(folder, kind, data, kind, number, random.Random(seed)) if number else []
    found = {"codes": codes, "waits": waits, "cpu": sum(os.times()[:4])}
    (folder / "outcome.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
