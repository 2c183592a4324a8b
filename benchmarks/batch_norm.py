"""What the fused batch normalisation is worth: a training step with it, against one with Keras's layer.

python -m benchmarks.batch_norm [MODEL] [SIDE] [BATCH]      (default: resnet20 32 128)
"""

import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np

from benchmarks.paired import compare
from imgrec.models import build_model


def training_step(name: str, side: int, batch: int) -> tuple[Callable[[], Any], int]:
    """Return a function that takes one SGD step on fixed noise, and the model's parameter count."""
    model = build_model(name, input_shape=(side, side, 3), num_classes=10)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    draw = np.random.default_rng(0)
    images = draw.uniform(0, 255, (batch, side, side, 3)).astype("float32")
    targets = keras.utils.to_categorical(draw.integers(0, 10, batch), 10)
    return (lambda: model.train_on_batch(images, targets)), model.count_params()


def main() -> None:
    """Print one row: both medians and the ratio."""
    name = sys.argv[1] if len(sys.argv) > 1 else "resnet20"
    side, batch = (int(word) for word in (*sys.argv[2:4], *("32", "128")[len(sys.argv[2:4]) :]))
    fused, parameters = training_step(name, side, batch)
    with mock.patch("imgrec.layers.normalization.BatchNormalization._fusable", return_value=False):
        composed, _ = training_step(name, side, batch)
        composed()  # traced here, while the fused kernel is switched off
    ratio = compare(fused, composed)
    print(f"{name}, {parameters:,} parameters, {side} px, batch {batch}, float32 training step")
    print(f"  fused kernel {1e3 * ratio.first:8.1f} ms   Keras's layer {1e3 * ratio.second:8.1f} ms")
    print(f"  fused is {ratio.wall:.2f} × as fast in wall time, {ratio.cpu:.2f} × in processor time")


if __name__ == "__main__":
    main()
