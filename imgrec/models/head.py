"""The two ends that all models share: pixels in, logits out."""

from collections.abc import Callable
from typing import Any

import keras

from imgrec.errors import InputError
from imgrec.layers.normalize import PixelNormalization
from imgrec.models.architecture import Architecture, Shape


def pixels_in(architecture: Architecture, shape: Shape) -> tuple[Any, Any]:
    """Return the input `image` (float32 `[B, H, W, C]`, 0…255) and the same normalised."""
    mean, std = architecture.pixel_scale(shape[2])
    image = keras.Input(shape, dtype="float32", name="image")
    return image, PixelNormalization(mean, std, name="normalize")(image)


def logits_out(
    features: Any,
    num_classes: int,
    dropout: float = 0.0,
    initializer: Callable[[], keras.initializers.Initializer] = keras.initializers.GlorotUniform,
) -> Any:
    """Classify `[B, D]`: dropout where wanted, then the dense layer `logits`, float32 under any policy."""
    if check_rate(dropout, "dropout"):
        features = keras.layers.Dropout(dropout, name="features_dropout")(features)
    layer = keras.layers.Dense(num_classes, kernel_initializer=initializer(), name="logits", dtype="float32")
    return layer(features)


def dense_relu(x: Any, units: int, *, name: str, end: str, initializer: Any = "he_normal") -> Any:
    """A hidden dense layer on `[B, D]`, and a ReLU called `end`."""
    x = keras.layers.Dense(units, kernel_initializer=initializer, name=name)(x)
    return keras.layers.ReLU(name=end)(x)


def check_rate(value: Any, option: str) -> float:
    """Return `value` as a share in [0, 1).

    Raises:
        InputError: it is no number in that range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
        raise InputError(
            f"{option}={value!r}: expected a share from 0 up to but not including 1, such as 0.2"
        )
    return float(value)


def check_flag(value: Any, option: str) -> bool:
    """Return `value`, which must be true or false.

    Raises:
        InputError: it is neither.
    """
    if not isinstance(value, bool):
        raise InputError(f"{option}={value!r}: expected true or false")
    return value
