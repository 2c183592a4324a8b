"""Models and questions that the tests of explanations share."""

from typing import Any

import keras
import numpy as np

from imgrec import runtimes
from imgrec.explain.asked import Asked
from imgrec.models import build_model
from imgrec.tasks.multiclass import Multiclass

CLASSES = ("ant", "bee", "cat")
LINES = (
    "gradcam(endpoint=stem)",
    "hirescam(endpoint=stage1)",
    "integrated_gradients(steps=8)",
    "occlusion(window=14)",
)
"""What both backends are asked for."""


def network(name: str, shape: tuple[int, int, int] = (28, 28, 1), **options: Any) -> keras.Model:
    """A model with random weights, and with statistics of batches that are not those it was born with."""
    keras.utils.set_random_seed(0)
    model = build_model(name, shape, len(CLASSES), **options)
    draw = np.random.default_rng(0)
    for weight in model.non_trainable_weights:
        if "moving_variance" in weight.path:
            weight.assign(draw.uniform(0.5, 1.5, weight.shape))
        if "moving_mean" in weight.path:
            weight.assign(draw.uniform(-0.2, 0.2, weight.shape))
    return model


def pixels(shape: tuple[int, int, int] = (28, 28, 1), count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), np.uint8)


def asked_of(model: keras.Model, images: np.ndarray, classes: list[int] | None = None) -> Asked:
    chosen = np.arange(len(images)) % len(CLASSES) if classes is None else np.array(classes)
    return Asked(runtimes.of_model(model), Multiclass(CLASSES), images, chosen)
