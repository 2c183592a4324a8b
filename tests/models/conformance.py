"""What every model of the zoo must do, whatever its family, on whichever backend Keras runs."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgrec.layers.normalize import PixelNormalization
from imgrec.layers.residual import StochasticDepth
from imgrec.models import build_model, info

CLASSES = 5


def small(name: str, options: dict[str, Any], channels: int) -> tuple[keras.Model, np.ndarray]:
    """The model at (or near) its smallest size, and a batch of pixels for it."""
    halved = options.get("stem_pool") or options.get("small_stem") is False
    size = info(name).min_size * (2 if halved else 1)
    shape = (size, size, channels)
    pixels = np.random.default_rng(0).uniform(0, 255, (4, *shape)).astype(np.float32)
    return build_model(name, shape, CLASSES, **options), pixels


def check_everything(name: str, options: dict[str, Any], folder: Path) -> None:
    model, pixels = small(name, options, channels=3)
    check_structure(model)
    logits = answer(model, pixels)
    check_logits(logits)
    assert np.ptp(logits, axis=0).min() > 0, "different images must give different logits"
    check_saving(model, pixels, logits, folder / "model.keras")
    check_mixed_precision(model, pixels, logits, name, options)
    check_gradients(model, pixels)


def answer(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    # JAX would compile every operation by itself, TensorFlow has all of them ready.
    call = model.predict_on_batch if keras.backend.backend() == "jax" else model
    return keras.ops.convert_to_numpy(call(pixels))


def check_structure(model: keras.Model) -> None:
    names = [layer.name for layer in model.layers]
    endpoints = info(model.name).endpoints
    assert sorted(endpoints, key=names.index) == list(endpoints)
    assert names[0] == "image" and model.input.dtype == "float32"
    assert len(model.get_layer("features").output.shape) == 2
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    assert not [name for name in names if re.search(r"_\d+$", name)], "names that Keras numbered by itself"
    scale = [layer for layer in model.layers if isinstance(layer, PixelNormalization)]
    assert [(layer.mean, layer.std) for layer in scale] == [(info(model.name).mean, info(model.name).std)]


def check_logits(logits: np.ndarray) -> None:
    assert logits.shape == (4, CLASSES) and logits.dtype == np.float32
    assert np.isfinite(logits).all()


def check_saving(model: keras.Model, pixels: np.ndarray, logits: np.ndarray, path: Path) -> None:
    model.save(path)
    loaded = keras.saving.load_model(path)
    layers = [[(type(layer), layer.name) for layer in m.layers] for m in (loaded, model)]
    assert layers[0] == layers[1]
    np.testing.assert_array_equal(answer(loaded, pixels), logits)


def check_mixed_precision(
    model: keras.Model, pixels: np.ndarray, logits: np.ndarray, name: str, options: dict[str, Any]
) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    mixed, _ = small(name, options, channels=3)
    keras.config.set_dtype_policy("float32")
    assert {weight.dtype for weight in mixed.trainable_weights} == {"float32"}
    mixed.set_weights(model.get_weights())
    half = answer(mixed, pixels)
    assert half.dtype == np.float32
    # bfloat16 keeps 8 bits: the rounding of some hundred layers adds up to some per cent, of 1001 to 15.
    bound = 0.1 if len(model.layers) < 2000 else 0.2
    assert np.abs(half - logits).max() < bound * np.abs(logits).max()


def check_gradients(model: keras.Model, pixels: np.ndarray) -> None:
    targets = keras.utils.to_categorical([0, 1, 2, 3], CLASSES)
    for layer in model.layers:
        if isinstance(layer, StochasticDepth):
            layer.drop.rate = 0.0  # a branch that chance skips for all four images would look dead
    gradients = GRADIENTS[keras.backend.backend()](model, pixels, targets)
    weights = model.trainable_weights
    dead = [w.path for w, g in zip(weights, gradients, strict=True) if g is None or not np.any(np.asarray(g))]
    assert not dead


def _loss(targets: np.ndarray, logits: Any) -> Any:
    return keras.losses.CategoricalCrossentropy(from_logits=True)(targets, logits)


def _tensorflow_gradients(model: keras.Model, pixels: np.ndarray, targets: np.ndarray) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = _loss(targets, model(pixels, training=True))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    # A gradient through a lookup is sparse.
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]


def _jax_gradients(model: keras.Model, pixels: np.ndarray, targets: np.ndarray) -> list[Any]:
    import jax

    fixed = [weight.value for weight in model.non_trainable_variables]

    def loss(values: list[Any]) -> Any:
        logits, _ = model.stateless_call(values, fixed, pixels, training=True)
        return _loss(targets, logits)

    return jax.jit(jax.grad(loss))([weight.value for weight in model.trainable_weights])


GRADIENTS = {"tensorflow": _tensorflow_gradients, "jax": _jax_gradients}
