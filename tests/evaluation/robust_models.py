"""Linear models whose gradients have formulas, and images that they answer right."""

from typing import Any

import keras
import numpy as np
from reports import evaluated

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.subject import Subject
from imgrec.tasks.task import Task

SIDE = 16
CLASSES = ("left", "right", "top")


def linear(task: Task, scale: float = 1.0, seed: int = 0) -> keras.Model:
    """Logits that are a linear function of the pixels, so that every gradient has a formula."""
    image = keras.Input((SIDE, SIDE, 1), name="image")
    logits = keras.layers.Dense(task.outputs, name="logits")(keras.layers.Flatten()(image))
    model = keras.Model(image, logits)
    weights = scale * np.random.default_rng(seed).normal(0, 0.01, (SIDE * SIDE, task.outputs))
    model.set_weights([weights - weights.mean(axis=0), np.zeros(task.outputs)])
    return model


def subject(task: Task, model: keras.Model, **more: Any) -> Subject:
    return Subject(model, task, Preprocess((SIDE, SIDE), "grey", **more), 8)


def split(count: int, task: Task) -> Split:
    draw = np.random.default_rng(1)
    labels: np.ndarray = draw.integers(0, task.outputs, count).astype(np.int32)
    if task.labels == "classes":
        labels = draw.integers(0, 2, (count, task.outputs)).astype(np.float32)
    images = draw.integers(30, 220, (count, SIDE, SIDE, 1), np.uint8)
    return Split(tuple(f"{i}.png" for i in range(count)), labels, images)


def learned(task: Task, count: int = 24) -> tuple[Subject, Split]:
    """A linear model, and images whose labels are its own answers."""
    model = linear(task)
    held = split(count, task)
    assert held.images is not None
    logits = model.predict(held.images.astype(np.float32), verbose=0)
    labels = logits.argmax(axis=1).astype(np.int32)
    if task.labels == "classes":
        labels = (logits > 0).astype(np.float32)
    return subject(task, model), Split(held.ids, labels, held.images)


def given(one: Subject, images: Split) -> Evaluated:
    return evaluated(one.task, subject=one, split=images)
