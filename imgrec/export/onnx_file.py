"""ONNX files: float32 from a trained model, int8 from a quantisation-aware one.

A file takes uint8 pixels `image` `[N, H, W, 3]`, any N (RGB; a grey model's too), and gives the task's
scores, `probabilities`, float32 `[N, num_classes]`. Texts that belong to it are in its `metadata_props`. It
holds operators of ONNX itself, of one opset, and appears under its name only when the checker passed it and
ONNX Runtime ran it. tf2onnx translates; what it gets wrong is mended here.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgrec.engines.onnx_file import OnnxFile
from imgrec.errors import InputError
from imgrec.export.card import Card, answering, in_float32
from imgrec.export.graph_edit import IMAGE
from imgrec.export.litert import ExportError, check_ranges
from imgrec.export.luma import luma
from imgrec.export.qdq import quantize
from imgrec.extras import require
from imgrec.files import write_file
from imgrec.layers.fake_quant import ActivationRange, mode

OPSET = 18
"""Of ONNX (December 2022), the newest that tf2onnx writes; ONNX Runtime ≥ 1.14, TensorRT ≥ 8.6 read it."""


def to_float32(model: keras.Model, path: str | Path, card: Card) -> Path:
    """Write a trained model as a float32 ONNX file, whatever precision policy it was trained under.

    Args:
        model: functional, `[B, H, W, C]` pixels in 0…255 in, logits out.
        path: of the file; its folder is made.
        card: what the file says of itself.

    Raises:
        InputError: the extra `onnx` is not installed.
        ExportError: the model needs operators that ONNX or ONNX Runtime does not have.
    """
    single = answering(in_float32(model), card)
    return _write(_convert(lambda pixels: single(pixels, training=False), model, card), Path(path), card)


def to_int8(quantized: keras.Model, path: str | Path, card: Card) -> Path:
    """Write a quantisation-aware model, fine-tuned or calibrated only, as a QDQ file.

    Activations are uint8, weights int8, biases int32; scales and zero-points are the model's learned ranges.

    Args:
        quantized: from `imgrec.compression.qat.prepare`, calibrated or trained.
        path: of the file; its folder is made.
        card: what the file says of itself.

    Raises:
        InputError: the extra `onnx` is not installed.
        ExportError: `quantized` has no learned ranges, or as `to_float32`.
    """
    check_ranges(quantized)
    if any(isinstance(layer, ActivationRange) and layer.bits == 16 for layer in quantized.layers):
        raise ExportError(
            f"{quantized.name}: activations of 16 bits have no form in ONNX; export it to tflite"
        )
    answers = answering(quantized, card)

    def scores(pixels: Any) -> Any:
        with mode("export"):
            return answers(pixels, training=False)

    made = _convert(scores, quantized, card)
    quantize(made)
    return _write(made, Path(path), card)


def _convert(scores: Callable[[Any], Any], model: keras.Model, card: Card) -> Any:
    """Return the ONNX model of a function of float32 pixels with the model's channels."""
    import tensorflow as tf

    convert = require("tf2onnx.convert", "onnx", "an ONNX file")
    height, width, channels = model.inputs[0].shape[1:]
    pixels = tf.TensorSpec((None, height, width, 3), tf.uint8, name=IMAGE)

    def answer(image: Any) -> dict[str, Any]:
        given = tf.cast(image, tf.float32)
        return {card.output: scores(luma(given) if channels == 1 else given)}

    with _quietly():
        try:
            made, _ = convert.from_function(
                tf.function(answer, input_signature=[pixels]),
                [pixels],
                opset=OPSET,
                custom_op_handlers={"Erfc": (_erfc, [])},
            )
        except Exception as error:  # tf2onnx has no one class of its own
            raise ExportError(f"{model.name}: {str(error).strip().partition(chr(10))[0]}") from error
    return made


def _erfc(context: Any, node: Any, _name: str, _args: list[Any]) -> None:
    """Erfc, which ONNX does not have and tf2onnx leaves as it is, is 1 - Erf."""
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    one = context.make_const(f"{node.name}_one", np.array(1, np.float32)).output[0]
    source, output = node.input[0], node.output[0]
    context.remove_node(node.name)
    erf = context.make_node("Erf", [source], name=f"{node.name}_erf", shapes=[shape], dtypes=[dtype])
    context.make_node(
        "Sub", [one, erf.output[0]], outputs=[output], name=node.name, shapes=[shape], dtypes=[dtype]
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep tf2onnx from telling its progress."""
    logger = logging.getLogger("tf2onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _write(made: Any, path: Path, card: Card) -> Path:
    """Put the card into the model, check and run it under another name, then give it its own."""
    import onnx

    made.producer_name, made.doc_string, made.graph.name = "imgrec", card.description, card.name
    made.model_version = 1
    onnx.helper.set_model_props(made, {"name": card.name, **card.companions})
    _name_batch(made)
    try:
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{path.name}: {str(error).strip().partition(chr(10))[0]}") from error

    def write(unfinished: Path) -> None:
        unfinished.write_bytes(made.SerializeToString(deterministic=True))
        _run(unfinished, path.name)

    write_file(path, write)
    return path


def _name_batch(made: Any) -> None:
    """Give the free first dimension of input and output the same name, for readers."""
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"


def _run(file: Path, name: str) -> None:
    """Run two images of noise, together and one alone; raise ExportError where that fails."""
    try:
        opened = OnnxFile(file, num_threads=1)
        images = np.random.default_rng(0).integers(0, 256, (2, *opened.image), np.uint8)
        outputs = opened(images)
        alone = opened(images[:1])
    except InputError as error:
        raise ExportError(f"{name}: {error}") from error
    if outputs.shape != (2, *opened.outputs) or alone.shape != (1, *opened.outputs):
        raise ExportError(f"{name}: gives {outputs.shape} for two images and {alone.shape} for one")
    if not np.isfinite(outputs).all():
        raise ExportError(f"{name}: gives numbers that are not finite")
