"""What a file that ships says of itself: its classes, what prepares its pixels, what it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras

from imgrec import tasks
from imgrec.artefact import SCORES
from imgrec.data.preprocess import FILE as PREPROCESS
from imgrec.data.preprocess import Preprocess
from imgrec.tasks.task import Task


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


def answering(model: keras.Model, card: Card) -> keras.Model:
    """Return the model with the task's last step behind its logits, output named `SCORES`; layers are shared.

    For formats that are written from a Keras model. A task without a last step gives the model itself.
    """
    if not card.task.activation:
        return model
    last = keras.layers.Activation(card.task.activation, dtype="float32", name=SCORES)
    return keras.Model(model.inputs, last(model.outputs[0]), name=model.name)
