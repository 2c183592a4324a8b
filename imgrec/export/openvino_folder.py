"""OpenVINO's own files in a folder `<version>/`, read from the ONNX file that is written on the way.

What OpenVINO's Model API reads stands in the graph's `rt_info`, the texts that belong to it lie beside it.
Values keep float32: compressed to float16, as OpenVINO's tools do of themselves, answers would be others.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras

from imgrec.engines.openvino_folder import GRAPH, OpenVinoModel, openvino
from imgrec.engines.versions import VERSION
from imgrec.errors import InputError
from imgrec.export import onnx_file
from imgrec.export.card import Card
from imgrec.export.litert import ExportError
from imgrec.files import write_folder, write_text


def to_float32(model: keras.Model, path: str | Path, card: Card) -> Path:
    """Write a trained model as a folder of one version.

    Raises:
        InputError: an extra, `onnx` or `openvino`, is not installed.
        ExportError: as `onnx_file.to_float32`, or OpenVINO does not run it.
    """
    return _write(onnx_file.to_float32, model, Path(path), card)


def to_int8(quantized: keras.Model, path: str | Path, card: Card) -> Path:
    """Write a quantisation-aware model likewise; as `onnx_file.to_int8`."""
    return _write(onnx_file.to_int8, quantized, Path(path), card)


def _write(write_onnx: Callable[..., Path], model: keras.Model, path: Path, card: Card) -> Path:
    ov = openvino(f"{path.name}: an OpenVINO model")

    def write(unfinished: Path) -> None:
        with tempfile.TemporaryDirectory() as between:
            core = ov.Core()
            read = core.read_model(str(write_onnx(model, Path(between) / "model.onnx", card)))
            read.set_rt_info("Classification", ["model_info", "model_type"])
            read.set_rt_info(
                " ".join(_one_word(name) for name in card.task.classes), ["model_info", "labels"]
            )
            folder = unfinished / VERSION
            folder.mkdir(parents=True)
            ov.save_model(read, str(folder / GRAPH), compress_to_fp16=False)
        for name, text in card.companions.items():
            write_text(folder / name, text)
        try:
            OpenVinoModel(folder / GRAPH, num_threads=1)
        except InputError as error:
            raise ExportError(f"{path.name}: {error}") from error

    write_folder(path, write)
    return path


def _one_word(name: str) -> str:
    """A name as Model API's list has it, whose names blanks part."""
    return "_".join(name.split())
