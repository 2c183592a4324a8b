"""Logits of torchvision and timm under the same weights: an architecture is right when its numbers are.

reference.json holds every tensor's name and shape (PyTorch layout), reference.npz the logits of two
images, float32 (2, 1000), from torchvision 0.28 and timm 1.0.31 in evaluation mode. Weights and images
are drawn again from NumPy, as `fill` and `images` say.
"""

import gc
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imgrec.models import build_model, info
from imgrec.models.weights import load_state

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "reference.json").read_text(encoding="utf-8"))


def fill(name: str, shape: list[int], gain: float) -> np.ndarray:
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return draw.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith(("running_mean", "bias")):
        return draw.normal(0, 0.02, shape).astype(np.float32)
    if len(shape) < 2:
        return draw.uniform(0.5, 1.5, shape).astype(np.float32)
    # Row by row: the same numbers, without 0.8 GB of float64 for VGG's first dense layer.
    value = np.empty(shape, np.float32)
    for row in value:
        row[...] = draw.normal(0, gain / np.sqrt(np.prod(shape[1:])), row.shape)
    return value


def images(size: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(size, size, 3))
    cells = -(-size // 8)
    pattern = np.random.default_rng(1).normal(size=(8, 8, 3)).repeat(cells, 0).repeat(cells, 1)
    return np.stack([noise, pattern[:size, :size]]).astype(np.float32)


BUILD: dict[str, tuple[str, dict[str, Any]]] = {"seresnet50": ("resnet50", {"attention": "se"})}
"""Reference → our name and options, where they are not the reference's own name alone."""
SLOW = {"alexnet", "vgg16", "inception_v3", "resnet50", "vit_s_16", "densenet121", "coatnet_0", "seresnet50"}
CASES = [
    pytest.param(key, *BUILD.get(key, (key, {})), id=key, marks=[pytest.mark.slow] if key in SLOW else [])
    for key in REFERENCE
]


@pytest.fixture(autouse=True)
def _free_memory() -> Iterator[None]:
    yield
    keras.backend.clear_session()
    gc.collect()


@pytest.mark.parametrize(("key", "name", "options"), CASES)
def test_logits_equal_the_reference_implementations(key: str, name: str, options: dict[str, Any]) -> None:
    reference = REFERENCE[key]
    size = reference["image_size"]
    model = build_model(name, (size, size, 3), 1000, **options)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == reference["trainable"]
    load_state(model, {n: fill(n, s, reference["gain"]) for n, s in reference["tensors"].items()})
    pixels = images(size) * info(name).std + info(name).mean
    logits = model(pixels.astype(np.float32), training=False).numpy()
    with np.load(HERE / "reference.npz") as file:
        expected = file[key]
    assert np.abs(logits - expected).max() <= 1e-3 * expected.std()
