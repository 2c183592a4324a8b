"""A trainer on several devices or hosts: a program for `test_devices.py`, which runs it as processes.

    python -m tests.training.devices FOLDER NAME DEVICES STRATEGY [PAUSE [SETTING=VALUE …]]

trains on FOLDER/data.npz to FOLDER/NAME, over DEVICES logical CPUs, by `runs.training.train`, on the backend
that KERAS_BACKEND names. Each process
writes what it had at the end of training, weights and the figures after every step, to FOLDER/NAME.INDEX.npz,
INDEX being this worker's. After each step it prints `step N` and sleeps PAUSE seconds.
"""

import dataclasses
import os
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgrec.config import Config
from imgrec.training import fit
from imgrec.workers import Team
from pipelines.cli import guarded

EPOCHS, STEPS, BATCH, SIDE = 2, 6, 20, 12


class Steps(keras.callbacks.Callback):
    """Notes the loss after every step."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause, self.losses = pause, []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(float(logs["loss"]))
        print(f"step {len(self.losses)}", flush=True)
        time.sleep(self.pause)


def write_data(path: Path) -> None:
    """Images of four classes: a bright band, where it lies."""
    draw = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", STEPS * BATCH), ("val", 30), ("test", 20)):
        labels = np.arange(count) % 4
        images = draw.integers(0, 60, (count, SIDE, SIDE, 1))
        for image, label in zip(images, labels, strict=True):
            image[3 * label : 3 * label + 3] += 120
        arrays |= {f"x_{split}": images.astype(np.uint8), f"y_{split}": labels}
    np.savez(path, **arrays)


def main() -> int:
    folder, name, devices, strategy, *rest = sys.argv[1:]
    pause, more = rest[:1], dict(setting.split("=", 1) for setting in rest[1:])
    if int(devices) > 1 and keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", int(devices))
    elif int(devices) > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(int(devices))]
        )
    steps = Steps(float(pause[0]) if pause else 0.0)
    original = fit.fit_phases

    def noted(model: Any, *args: Any, recording: Any, **options: Any) -> Any:
        recording = dataclasses.replace(recording, callbacks=(*recording.callbacks, steps))
        fitted = original(model, *args, recording=recording, **options)
        weights = {f"w{number:03d}": value for number, value in enumerate(model.get_weights())}
        index = Team(options["strategy"]).index
        np.savez(Path(folder) / f"{name}.{index}.npz", losses=steps.losses, **weights)
        return fitted

    fit.fit_phases = noted  # before `runs.fitting` takes it
    settings = (
        Config()
        .replace(
            data=f"npz:{folder}/data.npz",
            out=f"{folder}/{name}",
            model="lenet5",
            epochs=EPOCHS,
            batch_size=BATCH,
            crop="none",
            flip=False,
            mixup=0.2,
            quantize="none",
            audit=False,
            precision="float32",
            tensorboard=False,
            checkpoint_every="2",
            strategy=strategy,
        )
        .replace(**more)
    )
    from imgrec.runs.training import train

    return train(settings)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    guarded(main)
