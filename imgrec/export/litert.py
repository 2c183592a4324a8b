"""TFLite files: float32 from a trained model, int8 from a quantisation-aware one.

A file takes uint8 pixels `[1, H, W, 3]` (RGB; a grey model's too, since clients have no other) and gives
the task's scores, float32 `[1, num_classes]`; names, preprocessing and TFLite metadata are inside. Without a
card it takes the model's own channels, gives logits and says nothing of itself. It holds TFLite's built-in
operations only, and appears under its name only when it is whole and was checked.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from imgrec.export.card import Card, in_float32
from imgrec.export.graph_edit import IMAGE, finish
from imgrec.export.inspect import describe, float_operators, foreign_operators
from imgrec.export.luma import luma, luma_int8
from imgrec.files import write_file
from imgrec.layers.fake_quant import ActivationRange, mode


class ExportError(RuntimeError):
    """The converter failed, or its file is not what was asked for; no file was left behind."""


def to_float32(model: keras.Model, path: str | Path, card: Card | None = None) -> Path:
    """Write a trained model as a float32 TFLite file, whatever precision policy it was trained under.

    Args:
        model: functional, `[B, H, W, C]` pixels in 0…255 in, logits out.
        path: of the file; its folder is made.
        card: what the file says of itself; None gives a bare one.

    Raises:
        ExportError: the model needs operations that TFLite does not have.
    """
    import tensorflow as tf

    single = in_float32(model)

    def logits(image: Any) -> Any:
        pixels = tf.cast(image, tf.float32)
        return single(luma(pixels) if greys else pixels, training=False)

    greys = card is not None and model.inputs[0].shape[-1] == 1
    return _write(finish(_convert(logits, model, greys, int8=False), card), Path(path), int8=False)


def to_int8(quantized: keras.Model, path: str | Path, card: Card | None = None) -> Path:
    """Write a quantisation-aware model, fine-tuned or calibrated only, as an int8 TFLite file.

    The scales and zero-points in the file are the model's learned ranges. Every convolution, dense
    layer and matrix product is int8; layer normalisation stays float32 between two conversions.

    Args:
        quantized: from `imgrec.compression.qat.prepare`, calibrated or trained.
        path: of the file; its folder is made.
        card: what the file says of itself; None gives a bare one.

    Raises:
        ExportError: `quantized` has no learned ranges, or a convolution or dense layer of the file
            is not int8.
    """
    check_ranges(quantized)

    def logits(image: Any) -> Any:
        with mode("export"):
            return quantized(luma_int8(image) if greys else image, training=False)

    greys = card is not None and quantized.inputs[0].shape[-1] == 1
    return _write(finish(_convert(logits, quantized, greys, int8=True), card), Path(path), int8=True)


def check_ranges(quantized: keras.Model) -> None:
    """Raise ExportError where no range of a quantisation-aware model was ever measured."""
    ranges = [layer for layer in quantized.layers if isinstance(layer, ActivationRange)]
    learned = [layer for layer in ranges if layer.low is None or layer.high is None]
    if learned and not any(layer.is_set for layer in learned):
        raise ExportError(f"{quantized.name}: no range was ever measured; calibrate or train it first")


def _convert(logits: Callable[[Any], Any], model: keras.Model, greys: bool, *, int8: bool) -> bytes:
    """Convert; `greys` says that three channels come in for the model's one."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # The int8 graph reads float pixels through the input's range; the converter then takes uint8 there.
    height, width, channels = model.inputs[0].shape[1:]
    shape = (1, height, width, 3 if greys else channels)
    pixels = tf.TensorSpec(shape, tf.float32 if int8 else tf.uint8, name=IMAGE)
    function = tf.function(logits, input_signature=[pixels]).get_concrete_function()
    # Variables left to the converter may come back as READ_VARIABLE operations without values.
    constant = convert_variables_to_constants_v2(function)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([constant], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.uint8
    with warnings.catch_warnings():
        # The input's statistics are its fake-quantisation; the converter looks elsewhere and warns.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        try:
            return bytes(converter.convert())
        except Exception as error:  # the converter has no one class of its own
            raise ExportError(f"{model.name}: {str(error).splitlines()[0]}") from error


def _write(content: bytes, path: Path, *, int8: bool) -> Path:
    """Check the file under another name, then give it its own."""

    def write(unfinished: Path) -> None:
        unfinished.write_bytes(content)
        operators = describe(unfinished)
        if foreign := foreign_operators(operators):
            raise ExportError(f"{path.name}: not TFLite built-ins: {', '.join(foreign)}")
        if int8 and (left := float_operators(operators)):
            raise ExportError(f"{path.name}: not int8: {'; '.join(left)}")

    write_file(path, write)
    return path
