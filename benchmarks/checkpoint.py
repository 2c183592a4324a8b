"""What checkpoints cost: steps of a training, and saves of it, measured in turn.

python -m benchmarks.checkpoint [MODEL] [SIDE] [BATCH] [ROUNDS]      (default: resnet20 32 128 10)

A round is a step and a save. Prints the share of the time that a save every 200 steps takes.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np

from benchmarks.paired import seconds
from imgrec.config import OptimConfig
from imgrec.models import build_model
from imgrec.training.callbacks import BestWeights, HistoryWriter
from imgrec.training.checkpointing.store import Checkpoints, Step
from imgrec.training.checkpointing.train_state import Rollbacks, StatefulCallbacks, TrainState
from imgrec.training.nan_guard import NaNGuard
from imgrec.training.optim.optimizers import build_optimizer
from imgrec.training.progress import Progress

EVERY = 200


def prepare(name: str, side: int, batch: int) -> tuple[Callable[[], Any], TrainState]:
    """Return a function that takes one step of SGD with momentum on fixed noise, and what is saved of it."""
    model = build_model(name, input_shape=(side, side, 3), num_classes=1000)
    optimizer = build_optimizer(model, OptimConfig.plain(), 100)
    optimizer.build(model.trainable_variables)
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=[accuracy], jit_compile=False)
    stateful = StatefulCallbacks(HistoryWriter(None), BestWeights(), Progress(1, 1, batch), NaNGuard())
    stateful.best.weights = model.get_weights()
    draw = np.random.default_rng(0)
    images = draw.uniform(0, 255, (batch, side, side, 3)).astype("float32")
    targets = keras.utils.to_categorical(draw.integers(0, 1000, batch), 1000)
    state = TrainState(model, model, optimizer, [accuracy], stateful, Rollbacks())
    return lambda: model.train_on_batch(images, targets), state


def main() -> None:
    """Print one row: both medians and the share."""
    words = [*sys.argv[1:], *("resnet20", "32", "128", "10")[len(sys.argv[1:]) :]]
    name, (side, batch, rounds) = words[0], map(int, words[1:4])
    step, state = prepare(name, side, batch)
    step()
    steps, saves = [], []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        kept = Checkpoints(Path(folder), {})
        for number in range(rounds):
            steps.append(seconds(step))
            place = Step(0, 0, number)
            saves.append(seconds(lambda place=place: kept.save(state.take(place, {}))))  # type: ignore[misc]
        size = sum(file.stat().st_size for file in Path(folder, kept.names()[-1]).iterdir())
    (wall, cpu), (save_wall, save_cpu) = (
        tuple(map(median, zip(*rows, strict=True))) for rows in (steps, saves)
    )
    print(f"{name}, {side} px, batch {batch}, {size / 1e6:.1f} MB a checkpoint")
    print(
        f"  a step {1e3 * wall:.1f} ms ({cpu:.3f} CPU-s), "
        f"a save {1e3 * save_wall:.1f} ms ({save_cpu:.3f} CPU-s)"
    )
    shares = save_wall / (EVERY * wall), save_cpu / (EVERY * cpu)
    print(f"  a save every {EVERY} steps: {shares[0]:.2%} of the time, {shares[1]:.2%} of the processor time")


if __name__ == "__main__":
    main()
