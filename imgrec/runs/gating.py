"""The gate that every file passes: the run's test images, as bytes, beside what its model answers."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgrec.artefact import Artefact, Calibrated
from imgrec.compression.layer_errors import layer_errors
from imgrec.compression.variants import find
from imgrec.data.loading import load_arrays
from imgrec.data.sources.dataset import Split
from imgrec.export import departure, parity
from imgrec.export.encoded import Encoded
from imgrec.learning.session import Session
from imgrec.tasks.task import Outputs


@dataclass(frozen=True)
class Gate:
    """Images and what the float model answers to them.

    images: uint8 `[N, H, W, C]`, prepared as training does.
    outputs: the float model's, float32 `[N, outputs]`.
    """

    session: Session
    split: Split
    images: np.ndarray
    encoded: Encoded
    outputs: Outputs

    @classmethod
    def of(cls, session: Session, split: Split, outputs: Outputs) -> "Gate":
        """Prepare the images of `split`, for which the float model gave `outputs`."""
        return cls(session, split, load_arrays(split, session.preprocess), Encoded(split), outputs)

    def row(
        self, artefact: Artefact, model: keras.Model | Calibrated, reference: Outputs
    ) -> parity.ParityRow:
        """Measure a file beside the model that it was written from.

        Args:
            artefact: the file.
            model: that it was written from.
            reference: what the file's answers are compared with, float32 `[N, outputs]`.
        """
        task, labels = self.session.task, self.split.labels
        row = parity.measure(artefact, self.images, labels, reference, self.outputs, task, self.encoded)
        if artefact.path.suffix != ".tflite":
            return row
        layers = _layers(artefact.path, _arithmetic(artefact), model, self.images)
        if not parity.gate([row]):
            return dataclasses.replace(row, layers=layers)
        exact = _arithmetic(artefact) == "float32"
        bound = departure.EXACT if exact else departure.ROUNDED
        few = self.images[: departure.IMAGES]
        departs = departure.first(_network(model), artefact.path, few, bound)
        return dataclasses.replace(row, layers=layers, departs=departs)


def _arithmetic(artefact: Artefact) -> str:
    return find(artefact.variant).arithmetic


def _network(model: keras.Model | Calibrated) -> keras.Model:
    return model.model if isinstance(model, Calibrated) else model


def _layers(
    path: Path, arithmetic: str, model: keras.Model | Calibrated, images: np.ndarray
) -> list[dict[str, Any]]:
    """Return what rounding does to each layer: within our quantised model, else between float model and file.

    The latter has no errors of a layer's own, since a file cannot be given exact values half-way.
    """
    if arithmetic == "float32":
        return []
    if arithmetic == "int8":
        return [dataclasses.asdict(error) for error in layer_errors(_network(model), images)]
    found = departure.compared(_network(model), path, images[: departure.IMAGES])
    return [
        {
            "name": layer.name,
            "own_db": None,
            "db": float(-20 * np.log10(max(layer.distance, 1e-5))),
            "max_abs": layer.max_abs,
            "mean_abs": layer.mean_abs,
        }
        for layer in found
    ]
