"""An exported file, and what it promises."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import keras

Arithmetic = Literal["float32", "float16", "dynamic", "int8", "calibrated"]
"""What an exported model computes in. float16: its weights, the rest as float32; dynamic: int8 weights, and
activations rounded while the file runs; calibrated: a `Calibrated` becomes int8 by the format's own tools."""


@dataclass(frozen=True)
class Calibrated:
    """A float model, and the images on which the ranges of its file are measured, uint8 `[N, H, W, C]`."""

    model: "keras.Model"
    images: np.ndarray


SCORES = "probabilities"
"""Name of a file's output where it is `Task.scores`; files of old have logits, under other names."""
LOGITS = "logits"
"""Name of the output of a file, but of TFLite, where the task has no last step."""


class Promise(StrEnum):
    """What the parity gate holds a file to; every file is as accurate as the trained model."""

    SAME_ANSWERS = "same answers"
    """It answers as the model that it was made from."""
    SAME_ACCURACY = "same accuracy"
    """Nothing more: single answers may differ."""


@dataclass(frozen=True)
class Artefact:
    """A file that ships.

    path: of the file.
    format: its key in `export.formats.FORMATS`.
    variant: its key in `compression.variants.VARIANTS`.
    promise: what the gate holds it to.
    """

    path: Path
    format: str
    variant: str
    promise: Promise

    @property
    def name(self) -> str:
        """What tables and messages call it: of a TFLite file, the first of all, without its ending."""
        return self.path.stem if self.path.suffix == ".tflite" else self.path.name
