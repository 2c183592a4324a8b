"""Steps of a graph as the few kinds of operation that quantisation tells apart."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from imgrec.compression import activations
from imgrec.compression.graph import Graph, Step
from imgrec.compression.operations import Op, Uncovered, Value, between
from imgrec.layers.fake_quant import WEIGHT_LEVELS

HIDDEN = -16.0
"""Stands for the −100 by which attention hides a pair: e⁻¹⁶ is zero in int8, and scores keep finer steps."""


def lower(graph: Graph) -> tuple[list[Op], list[str]]:
    """Return the graph's operations, and one line `name (Type): reason` for each uncovered step."""
    found: list[Op] = []
    problems: list[str] = []
    for step in graph.steps:
        try:
            found += _lower_step(step)
        except Uncovered as reason:
            problems.append(f"{step.name} ({type(step.operation).__name__}): {reason}")
    return found, problems


def _lower_step(step: Step) -> list[Op]:
    operation = step.operation
    name = type(operation).__name__
    if isinstance(operation, keras.Layer):
        handler = LAYERS.get(name) if _ours_or_keras(operation) else None
    else:
        handler = OPERATIONS.get(name)
    if handler is None:
        raise Uncovered("no int8 form is known for it")
    return handler(step)


def _ours_or_keras(layer: keras.Layer) -> bool:
    # A user's own subclass may compute anything under a familiar name.
    return type(layer).__module__.split(".")[0] in ("keras", "imgrec")


def _values(step: Step) -> tuple[list[Value], list[Value]]:
    return list(step.inputs), list(step.outputs)


def _array(variable: Any, dtype: str = "float32") -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype)


def _with_activation(op: Op, step: Step) -> list[Op]:
    """Split a layer's `activation` off as an operation of its own."""
    function = getattr(step.operation, "activation", None)
    if function in (None, keras.activations.linear):
        return [op]
    middle, output = between(step.outputs[0]), step.outputs[0]
    op.outputs = [middle]
    return [op, *activations.lower(function, f"{step.name}_activation", middle, output)]


def _weighted(kind: str) -> Callable[[Step], list[Op]]:
    def handler(step: Step) -> list[Op]:
        layer: Any = step.operation
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise Uncovered("channels come first; the file wants them last")
        kernel = _array(layer.kernel)
        units = kernel.shape[2] * kernel.shape[3] if kind == "depthwise" else kernel.shape[-1]
        bias = _array(layer.bias) if layer.bias is not None else np.zeros(units, "float32")
        options = {"config": layer.get_config(), "kernel": kernel, "bias": bias}
        return _with_activation(Op(kind, step.name, *_values(step), step, options), step)

    return handler


def _batch_norm(step: Step) -> list[Op]:
    layer: Any = step.operation
    if layer.axis not in (-1, len(step.inputs[0].shape) - 1):
        raise Uncovered(f"normalises axis {layer.axis}; only the last is covered")
    mean, variance = (_array(v, "float64") for v in (layer.moving_mean, layer.moving_variance))
    gamma = _array(layer.gamma, "float64") if layer.scale else 1.0
    beta = _array(layer.beta, "float64") if layer.center else 0.0
    scale = gamma / np.sqrt(variance + layer.epsilon)
    options = {"scale": scale.astype("float32"), "offset": (beta - mean * scale).astype("float32")}
    return [Op("affine", step.name, *_values(step), step, options)]


def _pixel_normalization(step: Step) -> list[Op]:
    layer: Any = step.operation
    channels = step.inputs[0].shape[-1]
    mean, std = (np.broadcast_to(np.asarray(v, "float64"), (channels,)) for v in (layer.mean, layer.std))
    # Means that the file's int32 bias holds exactly; with one deviation for all channels whole numbers,
    # which put every pixel value on a point of the output's range, so that nothing is lost.
    steps = 1 if np.ptp(std) < 1e-6 * std[0] else WEIGHT_LEVELS
    mean = np.round(mean * steps) / steps
    options = {
        "scale": (1 / std).astype("float32"),
        "offset": (-mean / std).astype("float32"),
        "pixels": True,
    }
    return [Op("affine", step.name, *_values(step), step, options)]


def _plain(kind: str) -> Callable[[Step], list[Op]]:
    return lambda step: [Op(kind, step.name, *_values(step), step)]


def _pairwise(kind: str) -> Callable[[Step], list[Op]]:
    """Addition or multiplication of two tensors, or of one and a weight or number."""

    def handler(step: Step) -> list[Op]:
        if len(step.inputs) > 1 or isinstance(step.operation, keras.Layer):
            return [Op(kind, step.name, *_values(step))]
        (other,) = [a for a in (*step.args, *step.kwargs.values()) if not isinstance(a, keras.KerasTensor)]
        inputs, outputs = _values(step)
        if isinstance(other, (int, float)) or np.ndim(other) == 0:
            return [Op(f"{kind}_constant", step.name, inputs, outputs, options={"value": float(other)})]
        weight = _array(other)
        trained = isinstance(other, keras.Variable) and other.trainable
        options = {"weight": weight, "trainable": trained}
        return [Op(f"{kind}_weight", step.name, inputs, outputs, options=options)]

    return handler


def _division(step: Step) -> list[Op]:
    divisor = step.args[1] if len(step.args) > 1 else step.kwargs.get("x2")
    if len(step.inputs) != 1 or not isinstance(divisor, (int, float)):
        raise Uncovered("only a division by a number is covered")
    return [Op("multiply_constant", step.name, *_values(step), options={"value": 1.0 / divisor})]


def _relative_position(step: Step) -> list[Op]:
    """The bias as the places see it, a value for each pair: a tensor added, and trained as such."""
    layer: Any = step.operation
    options = {"weight": _array(layer.bias()), "trainable": layer.trainable}
    return [Op("add_weight", step.name, *_values(step), options=options)]


def _window_mask(step: Step) -> list[Op]:
    layer: Any = step.operation
    options = {"weight": np.asarray(layer.bias(HIDDEN), "float32"), "trainable": False}
    return [Op("add_weight", step.name, *_values(step), options=options)]


def _dropout(step: Step) -> list[Op]:
    """Kept in quantisation-aware training, but for stochastic depth, whose images draw one number each.

    That divides what it keeps by its share, up to doubling a whole branch: ranges would widen for
    values that no file ever sees.
    """
    layer: Any = step.operation
    whole = getattr(layer, "noise_shape", None) is not None
    return [Op("identity" if whole or not layer.rate else "same", step.name, *_values(step), step)]


def _layer_scale(step: Step) -> list[Op]:
    """An affine without an offset, so that it is folded into the layer before it."""
    layer: Any = step.operation
    scale = _array(layer.scale)
    return [Op("affine", step.name, *_values(step), step, {"scale": scale, "offset": np.zeros_like(scale)})]


def _layer_norm(step: Step) -> list[Op]:
    layer: Any = step.operation
    rank = len(step.inputs[0].shape)
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) and len(layer.axis) == 1 else layer.axis
    if axis not in (-1, rank - 1):
        raise Uncovered(f"normalises axis {layer.axis}; only the last is covered")
    options = {"config": layer.get_config(), "weights": [_array(w) for w in layer.weights]}
    return [Op("layer_norm", step.name, *_values(step), step, options)]


LAYERS: dict[str, Callable[[Step], list[Op]]] = {
    **activations.LAYERS,
    "Conv2D": _weighted("conv"),
    "DepthwiseConv2D": _weighted("depthwise"),
    "Dense": _weighted("dense"),
    "BatchNormalization": _batch_norm,
    "PixelNormalization": _pixel_normalization,
    "LayerNormalization": _layer_norm,
    "LogVisibility": _plain("float"),
    "AnswerFusion": _plain("float"),
    "LayerScale": _layer_scale,
    "RelativePositionBias": _relative_position,
    "WindowMask": _window_mask,
    "Add": _pairwise("add"),
    "Multiply": _pairwise("multiply"),
    "Concatenate": _plain("concat"),
    "GlobalAveragePooling2D": _plain("mean"),
    "GlobalAveragePooling1D": _plain("mean"),
    "AveragePooling2D": _plain("average_pool"),
    "GlobalMaxPooling2D": _plain("same"),
    "MaxPooling2D": _plain("same"),
    "ZeroPadding2D": _plain("same"),
    "Flatten": _plain("same"),
    "Reshape": _plain("same"),
    "Permute": _plain("same"),
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "Identity": _plain("identity"),
}

OPERATIONS: dict[str, Callable[[Step], list[Op]]] = {
    **activations.OPERATIONS,
    "Add": _pairwise("add"),
    "Multiply": _pairwise("multiply"),
    "Divide": _division,
    "TrueDivide": _division,
    "Concatenate": _plain("concat"),
    "Mean": _plain("mean"),
    "Matmul": _plain("matmul"),
    "Max": _plain("same"),
    "Amax": _plain("same"),
    "Reshape": _plain("same"),
    "Transpose": _plain("same"),
    "Swapaxes": _plain("same"),
    "ExpandDims": _plain("same"),
    "Squeeze": _plain("same"),
    "GetItem": _plain("same"),
    "Split": _plain("same"),
    "Pad": _plain("same"),
    "ZerosLike": _plain("zeros"),
    "Cast": _plain("identity"),
}
