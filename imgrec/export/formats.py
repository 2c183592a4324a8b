"""Formats of files that ship, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from imgrec.artefact import Arithmetic
from imgrec.errors import InputError
from imgrec.export import litert, onnx_file, openvino_folder, post_training, saved_model, triton
from imgrec.export.card import Card
from imgrec.registry import lookup


@dataclass(frozen=True)
class Format:
    """How a model becomes a file.

    ending: of the name of the file, or folder; `imgrec.runtimes.RUNTIMES` says what runs it.
    writers: by what a model computes in: model (or `Calibrated`), path and card → the path, the file whole or
        an error.
        Variants that compute in something else are not written.
    needs: package → the extra that brings it, where it is none that every installation has.
    title: in words, by default its key.
    """

    ending: str
    writers: Mapping[Arithmetic, Callable[[Any, Path, Card], Path]]
    needs: Mapping[str, str] = field(default_factory=dict)
    title: str = ""


_ONNX = dict.fromkeys(("tf2onnx", "onnx", "onnxruntime"), "onnx")
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
        title="TFLite",
    ),
    "onnx": Format(".onnx", {"float32": onnx_file.to_float32, "int8": onnx_file.to_int8}, _ONNX, "ONNX"),
    "saved_model": Format(".savedmodel", {"float32": saved_model.to_float32}, title="SavedModel"),
    "triton": Format(".triton", {"float32": triton.to_float32, "int8": triton.to_int8}, _ONNX, "Triton"),
    "openvino": Format(
        ".openvino",
        {"float32": openvino_folder.to_float32, "int8": openvino_folder.to_int8},
        {**_ONNX, "openvino": "openvino"},
        "OpenVINO",
    ),
}
"""Every format by its name; one of your own is one file and one entry more."""


def chosen(text: str, flag: str) -> tuple[str, ...]:
    """Return the names of the formats in a list joined by commas, each once.

    Args:
        text: the value of a flag.
        flag: what it is called, for messages.

    Raises:
        InputError: an unknown format, or one whose packages are not installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        needs = lookup(FORMATS, name, f"format of {flag}").needs
        missing = {extra: package for package, extra in needs.items() if find_spec(package) is None}
        for extra, package in missing.items():
            raise InputError(f"{flag} {name} needs {package}: pip install 'imgrec[{extra}]'")
    return names
