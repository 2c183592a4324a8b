"""Model repositories of Triton Inference Server: an ONNX file, its `config.pbtxt` and the classes' names.

`<file>.triton/<model>/1/model.onnx` is what `tritonserver --model-repository=<file>.triton` serves; several
of these folders are served together by naming each.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from imgrec.engines.onnx_file import OnnxFile
from imgrec.engines.versions import VERSION
from imgrec.export import onnx_file
from imgrec.export.card import Card
from imgrec.export.graph_edit import IMAGE
from imgrec.files import write_folder, write_text
from imgrec.tasks import LABELS

MOST = 32
"""Images that the server may put together."""
WAIT = 1000
"""Microseconds that it may wait for them."""
CONFIG = """\
name: "{name}"
platform: "onnxruntime_onnx"
max_batch_size: {most}
input [ {{ name: "{image}", data_type: TYPE_UINT8, dims: [ {image_sides} ] }} ]
output [
  {{ name: "{scores}", data_type: TYPE_FP32, dims: [ {output_sides} ], label_filename: "{labels}" }}
]
dynamic_batching {{ max_queue_delay_microseconds: {wait} }}
"""


def to_float32(model: keras.Model, path: str | Path, card: Card) -> Path:
    """Write a trained model as a repository; as `onnx_file.to_float32`."""
    return _write(onnx_file.to_float32, model, Path(path), card)


def to_int8(quantized: keras.Model, path: str | Path, card: Card) -> Path:
    """Write a quantisation-aware model as a repository; as `onnx_file.to_int8`."""
    return _write(onnx_file.to_int8, quantized, Path(path), card)


def _write(write_onnx: Callable[..., Path], model: keras.Model, path: Path, card: Card) -> Path:
    def write(unfinished: Path) -> None:
        folder = unfinished / model_name(card)
        file = write_onnx(model, folder / VERSION / "model.onnx", card)
        for name, text in card.companions.items():
            write_text(folder / name, text)
        write_text(folder / "config.pbtxt", config(file, card))

    write_folder(path, write)
    return path


def model_name(card: Card) -> str:
    """Return what clients call the model: its name, in the characters that a path of a request bears."""
    return re.sub(r"[^\w.-]+", "_", card.name).strip("_")


def config(file: Path, card: Card) -> str:
    """Return the `config.pbtxt` of an ONNX file, written by its own shapes."""
    opened = OnnxFile(file, num_threads=1)
    sides: dict[str, Any] = {
        key: ", ".join(map(str, shape))
        for key, shape in (("image_sides", opened.image), ("output_sides", opened.outputs))
    }
    named = {"name": model_name(card), "image": IMAGE, "scores": card.output, "labels": LABELS}
    return CONFIG.format(**named, **sides, most=MOST, wait=WAIT)
