"""What every model of the zoo must do, whatever its family: a new row is picked up by itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.layers.normalize import PixelNormalization
from imgrec.models import build_model, info, list_models

CLASSES = 5
SLOW = {"resnet34", "resnet50", "resnet56", "resnet101", "resnet152", "vit_s_16", "vit_b_16"}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("resnet8", {"attention": "se", "width": 8, "dropout": 0.1}),
    ("resnet8", {"attention": "cbam", "stem_pool": True}),
    ("resnet18", {"attention": "cbam", "small_stem": False}),
    ("resnet50", {"attention": "cbam", "dropout": 0.2}),
    ("vit_small_image", {"gelu": "tanh", "dropout": 0.1}),
]
CASES = [
    pytest.param(
        name,
        options,
        id="-".join([name, *(f"{key}={value}" for key, value in options.items())]),
        marks=[pytest.mark.slow] if name in SLOW else [],
    )
    for name, options in [*((name, {}) for name in list_models()), *OPTIONS]
]


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session()


def small(name: str, options: dict[str, Any], channels: int) -> tuple[keras.Model, np.ndarray]:
    """The model at (or near) its smallest size, and a batch of pixels for it."""
    halved = options.get("stem_pool") or options.get("small_stem") is False
    size = info(name).min_size * (2 if halved else 1)
    shape = (size, size, channels)
    pixels = np.random.default_rng(0).uniform(0, 255, (4, *shape)).astype(np.float32)
    return build_model(name, shape, CLASSES, **options), pixels


@pytest.mark.parametrize(("name", "options"), CASES)
def test_conformance(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    model, pixels = small(name, options, channels=3)
    check_structure(model)
    logits = model(pixels, training=False).numpy()
    check_logits(logits)
    assert logits.std(axis=0).min() > 0, "different pictures must give different logits"
    check_saving(model, pixels, logits, tmp_path / "model.keras")
    check_mixed_precision(model, pixels, logits, name, options)
    check_gradients(model, pixels)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_grey_pictures(name: str, options: dict[str, Any]) -> None:
    model, pixels = small(name, options, channels=1)
    check_logits(model(pixels, training=False).numpy())


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
    np.testing.assert_array_equal(loaded(pixels, training=False).numpy(), logits)


def check_mixed_precision(
    model: keras.Model, pixels: np.ndarray, logits: np.ndarray, name: str, options: dict[str, Any]
) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    mixed, _ = small(name, options, channels=3)
    keras.config.set_dtype_policy("float32")
    assert {weight.dtype for weight in mixed.trainable_weights} == {"float32"}
    mixed.set_weights(model.get_weights())
    half = mixed(pixels, training=False)
    assert half.dtype == tf.float32
    # bfloat16 keeps 8 bits: the rounding of some hundred layers adds up to some per cent.
    assert np.abs(half.numpy() - logits).max() < 0.1 * np.abs(logits).max()


def check_gradients(model: keras.Model, pixels: np.ndarray) -> None:
    targets = keras.utils.to_categorical([0, 1, 2, 3], CLASSES)
    with tf.GradientTape() as tape:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)(targets, model(pixels, training=True))
    weights = model.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    dead = [w.path for w, g in zip(weights, gradients, strict=True) if g is None or not np.any(g.numpy())]
    assert not dead
