"""TFLite files: float32 from a trained model, int8 from a quantisation-aware one.

A file takes uint8 pixels `[1, H, W, 3]` (RGB; a grey model's too, since clients have no other) and gives
the task's scores, float32 `[1, num_classes]`; names, preprocessing and TFLite metadata are inside. Without a
card it takes the model's own channels, gives logits and says nothing of itself. It holds TFLite's built-in
operations only, and appears under its name only when it is whole and was checked.
"""

import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import keras

from imgrec.export.card import Card, in_float32
from imgrec.export.graph_edit import IMAGE, finish
from imgrec.export.inspect import describe, float_operators, foreign_operators
from imgrec.export.kernels import KernelError, float_calls, set_kernels, widen_biases
from imgrec.export.luma import luma, luma_int8
from imgrec.files import write_file
from imgrec.layers.fake_quant import ActivationRange, mode

_SHADES = 1
"""Number of the convolution that turns colours into shades, behind the cast of the pixels."""


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
    return write(finish(float_content(model, card), card), Path(path), int8=False)


def float_content(model: keras.Model, card: Card | None, tune: Callable[[Any], None] | None = None) -> bytes:
    """Convert a trained model whose values are float32, before `finish`.

    Args:
        model: as `to_float32` takes it.
        card: that the file will bear; with one, a grey model takes RGB.
        tune: sets what else the converter is to do.

    Raises:
        ExportError: as `to_float32`.
    """
    import tensorflow as tf

    single = in_float32(model)

    def logits(image: Any) -> Any:
        pixels = tf.cast(image, tf.float32)
        return single(luma(pixels) if greys else pixels, training=False)

    greys = card is not None and model.inputs[0].shape[-1] == 1
    return _convert(logits, model, greys, int8=False, tune=tune)


def to_int8(quantized: keras.Model, path: str | Path, card: Card | None = None) -> Path:
    """Write a quantisation-aware model, fine-tuned or calibrated only, as an int8 TFLite file.

    The scales and zero-points in the file are the model's learned ranges and steps. Every convolution, dense
    layer and matrix product is int8, but for those that the model leaves float32; layer normalisation stays
    float32 between two conversions. Kernels may be of 4 bits, activations of 16.

    Args:
        quantized: from `imgrec.compression.qat.prepare`, calibrated or trained.
        path: of the file; its folder is made.
        card: what the file says of itself; None gives a bare one.

    Raises:
        ExportError: `quantized` has no learned ranges, or a convolution or dense layer of the file
            is not as the model has it.
    """
    import tensorflow as tf

    check_ranges(quantized)
    ranges = [layer for layer in quantized.layers if isinstance(layer, ActivationRange)]

    def logits(image: Any) -> Any:
        with mode("export"):
            return quantized(luma_int8(image) if greys else image, training=False)

    def logits_16(image: Any) -> Any:
        pixels = tf.cast(image, tf.float32)
        with mode("export"):
            return quantized(luma(pixels) if greys else pixels, training=False)

    greys = card is not None and quantized.inputs[0].shape[-1] == 1
    wide = any(layer.bits == 16 for layer in ranges)
    graph = logits_16 if wide else logits
    try:
        content = _convert(graph, quantized, greys, int8=True, pixels=not wide)
    except ExportError as error:
        if not wide:
            raise
        raise ExportError(f"{error}; TFLite has not all of it in 16 bits: use activations=8") from error
    try:
        content = set_kernels(content, quantized.layers)
        content = widen_biases(content) if wide else content
        meant = float_calls(content, quantized.layers)
        meant |= {_SHADES} if wide and greys else frozenset()
    except KernelError as error:
        raise ExportError(f"{quantized.name}: {error}") from error
    return write(finish(content, card), Path(path), int8=True, meant=meant)


def check_ranges(quantized: keras.Model) -> None:
    """Raise ExportError where no range of a quantisation-aware model was ever measured."""
    ranges = [layer for layer in quantized.layers if isinstance(layer, ActivationRange)]
    learned = [layer for layer in ranges if layer.low is None or layer.high is None]
    if learned and not any(layer.is_set for layer in learned):
        raise ExportError(f"{quantized.name}: no range was ever measured; calibrate or train it first")


def _convert(
    logits: Callable[[Any], Any],
    model: keras.Model,
    greys: bool,
    *,
    int8: bool,
    pixels: bool = False,
    tune: Callable[[Any], None] | None = None,
) -> bytes:
    """Convert; `greys` says that three channels come in for the model's one.

    `pixels` says that the graph's first step rounds float pixels to eight bits, in whose place the file takes
    uint8; otherwise the graph takes uint8 itself. `tune` sets what else the converter is to do.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    height, width, channels = model.inputs[0].shape[1:]
    shape = (1, height, width, 3 if greys else channels)
    spec = tf.TensorSpec(shape, tf.float32 if pixels else tf.uint8, name=IMAGE)
    function = tf.function(logits, input_signature=[spec]).get_concrete_function()
    # Variables left to the converter may come back as READ_VARIABLE operations without values.
    constant = convert_variables_to_constants_v2(function)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([constant], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if pixels:
            converter.inference_input_type = tf.uint8
    if tune:
        tune(converter)
    with warnings.catch_warnings():
        # The input's statistics are its fake-quantisation; the converter looks elsewhere and warns.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        try:
            return bytes(converter.convert())
        except Exception as error:  # the converter has no one class of its own
            raise ExportError(f"{model.name}: {str(error).splitlines()[0]}") from error


def write(content: bytes, path: Path, *, int8: bool, meant: Collection[int] = ()) -> Path:
    """Check the file under another name, then give it its own; `meant` are the operators in float32."""

    def write(unfinished: Path) -> None:
        unfinished.write_bytes(content)
        operators = describe(unfinished)
        if foreign := foreign_operators(operators):
            raise ExportError(f"{path.name}: not TFLite built-ins: {', '.join(foreign)}")
        if int8 and (left := float_operators(operators, meant)):
            raise ExportError(f"{path.name}: not int8: {'; '.join(left)}")
        if any(tensor.dtype == "int16" for operator in operators for tensor in operator.outputs):
            _check_sixteen_bits(unfinished, path.name)

    write_file(path, write)
    return path


def _check_sixteen_bits(unfinished: Path, name: str) -> None:
    """Make sure that the runtime has every operator of the file, which it lacks some of in int16."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(str(unfinished)).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ExportError(
            f"{name}: TFLite has not all of it in 16 bits: {reason}; use activations=8"
        ) from error
