"""What a model's head is given, beside what it answers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

FEATURES = "features"
"""Endpoint whose features are looked at."""
Look = Callable[[Any], tuple[NDArray[np.float32], NDArray[np.float32] | None]]


def look_inside(model: keras.Model) -> Look:
    """Return a function: pixels `[B, H, W, C]`, 0…255 → the outputs `[B, N]`, and the features `[B, D]`.

    The features are None where the model has no endpoint of that name; maps are averaged over their places.
    In inference, and without compiling, which for a look at a few thousand images would take longer.
    """
    named = any(layer.name == FEATURES for layer in model.layers)
    more = {FEATURES: model.get_layer(FEATURES).output} if named else {}
    inner = keras.Model(model.inputs, {"outputs": model.output, **more})

    def look(pixels: Any) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        said = inner(keras.ops.convert_to_tensor(pixels, "float32"), training=False)
        arrays = {
            name: np.asarray(keras.ops.convert_to_numpy(each), np.float32) for name, each in said.items()
        }
        features = arrays.get(FEATURES)
        if features is not None and features.ndim > 2:
            features = features.mean(axis=tuple(range(1, features.ndim - 1)))
        return arrays["outputs"], features

    return look
