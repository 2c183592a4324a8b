"""Formats of files that ship, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from imgrec.artefact import Arithmetic
from imgrec.export import litert, onnx_file
from imgrec.export.card import Card


@dataclass(frozen=True)
class Format:
    """How a model becomes a file.

    ending: of the file's name; `imgrec.runtimes.RUNTIMES` says what runs it.
    writers: by what a model computes in: model, path and card → the path, the file whole or an error.
        Variants that compute in something else are not written.
    """

    ending: str
    writers: Mapping[Arithmetic, Callable[[keras.Model, Path, Card], Path]]


FORMATS: dict[str, Format] = {
    "tflite": Format(".tflite", {"float32": litert.to_float32, "int8": litert.to_int8}),
    "onnx": Format(".onnx", {"float32": onnx_file.to_float32, "int8": onnx_file.to_int8}),
}
"""Every format by its name; one of your own is one file and one entry more."""
