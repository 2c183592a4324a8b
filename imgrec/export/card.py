"""What a file that ships says of itself: its classes, what prepares its pixels, what it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from imgrec import tasks
from imgrec.artefact import LOGITS, SCORES
from imgrec.data.preprocess import FILE as PREPROCESS
from imgrec.data.preprocess import Preprocess
from imgrec.tasks.calibration import Scaling
from imgrec.tasks.task import Task

CALIBRATED = "calibrated_logits"
"""Name of the step in a graph that scales logits."""


@dataclass(frozen=True)
class Card:
    """What is put into a file beside the network.

    name: of the model, as clients show it.
    description: of what it was trained for, in a line or two.
    task: what its outputs mean; its `activation` becomes the file's last step.
    preprocess: how an image becomes the file's pixels.
    """

    name: str
    description: str
    task: Task
    preprocess: Preprocess

    @property
    def companions(self) -> Mapping[str, str]:
        """Name and text of what a file's reader needs beside it, the same that lies in `exports/`."""
        return {**tasks.texts(self.task), PREPROCESS: self.preprocess.to_json()}

    @property
    def scaling(self) -> Scaling | None:
        """How the run's logits are scaled before the task's last step; None where they are not."""
        return self.task.calibration.scaling if self.task.calibration else None

    @property
    def output(self) -> str:
        """Name of the output of what `answering` gives."""
        return SCORES if self.task.activation else LOGITS


def answering(model: keras.Model, card: Card) -> keras.Model:
    """Return the model with the task's last step behind its logits, output named `SCORES`; layers are shared.

    The run's scaling of logits comes before it. For formats that are written from a Keras model. A task
    without a last step gives the model itself.
    """
    if not card.task.activation:
        return model
    logits = model.outputs[0]
    if scaling := card.scaling:
        factors = np.asarray(scaling.factors, np.float32)
        shifts = np.asarray(scaling.shifts or 0.0, np.float32)
        logits = keras.layers.Rescaling(factors, shifts, dtype="float32", name=CALIBRATED)(logits)
    last = keras.layers.Activation(card.task.activation, dtype="float32", name=SCORES)
    return keras.Model(model.inputs, last(logits), name=model.name)


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself, or a copy that computes in float32 where it was built under mixed precision."""
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model

    def clone(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    single = keras.models.clone_model(model, clone_function=clone)
    single.set_weights(model.get_weights())
    return single
