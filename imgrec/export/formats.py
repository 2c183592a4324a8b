"""Formats of files that ship, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec.artefact import Arithmetic
from imgrec.export import litert, post_training
from imgrec.export.card import Card


@dataclass(frozen=True)
class Format:
    """How a model becomes a file.

    ending: of the file's name; `imgrec.runtimes.RUNTIMES` says what runs it.
    writers: by what a model computes in: model (or `Calibrated`), path and card → the path, the file whole or
        an error.
        Variants that compute in something else are not written.
    """

    ending: str
    writers: Mapping[Arithmetic, Callable[[Any, Path, Card], Path]]


FORMATS: dict[str, Format] = {
    "tflite": Format(
        ".tflite",
        {
            "float32": litert.to_float32,
            "int8": litert.to_int8,
            "float16": post_training.to_float16,
            "dynamic": post_training.to_dynamic,
            "calibrated": post_training.to_static,
        },
    ),
}
"""Every format by its name; one of your own is one file and one entry more."""
