"""Our Keras 3 models as a `Description`."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from imgrec.compression.graph import Step as Call
from imgrec.compression.graph import expand
from imgrec.compression.tfmot.description import Description, Step
from imgrec.errors import InputError

Told = tuple[str, dict[str, Any], dict[str, Any]]
"""Kind, config, and weights by role."""


class _Unknown(Exception):
    """No translation; the text says of what."""


def describe(model: keras.Model) -> Description:
    """Return `model` as plain data, composites unfolded into their parts, weights included.

    Args:
        model: functional, one input and one output.

    Raises:
        InputError: names every layer and operation that has no translation, in one line.
    """
    graph = expand(model)
    names = {id(graph.input): "image"}
    first: dict[int, str] = {}  # id of a layer → name of the step that called it first
    steps: list[Step] = []
    arrays: dict[str, np.ndarray] = {}
    unknown: list[str] = []
    for call in graph.steps:
        try:
            kind, config, weights = _told(call)
        except _Unknown as reason:
            unknown.append(f"{call.name} ({reason})")
            continue
        for number, value in enumerate(call.outputs):
            names[id(value)] = f"{call.name}:{number}"
        layer = first.setdefault(id(call.operation), call.name)
        arrays.update({f"{layer}/{role}": _array(weight) for role, weight in weights.items()})
        inputs, outputs = ([names.get(id(v), "") for v in values] for values in (call.inputs, call.outputs))
        steps.append(Step(call.name, kind, inputs, outputs, config, list(weights), layer))
    if unknown:
        raise InputError(
            f"model {model.name!r} has no translation to tf_keras: {', '.join(unknown)}; "
            "expected standard layers"
        )
    shape = tuple(int(side) for side in graph.input.shape[1:])
    return Description(model.name, shape, "image", names[id(graph.output)], steps, arrays)


def _told(call: Call) -> Told:
    operation = call.operation
    name = type(operation).__name__
    ours = type(operation).__module__.split(".")[0] in ("keras", "imgrec")
    table = LAYERS if isinstance(operation, keras.Layer) else OPERATIONS
    if not ours or name not in table:
        raise _Unknown(name)
    return table[name](call)


def _array(weight: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(weight), np.float32)


def _activation(function: Any) -> str:
    """The name of a Keras activation; `gelu` there is the exact one."""
    return getattr(function, "__name__", "unknown") if function is not None else "linear"


def _weighted(kind: str) -> Callable[[Call], Told]:
    def tell(call: Call) -> Told:
        layer: Any = call.operation
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise _Unknown(f"{kind} with channels first")
        config: dict[str, Any] = {"activation": _activation(layer.activation)}
        if kind != "Dense":
            config |= {key: list(getattr(layer, key)) for key in ("strides", "dilation_rate")}
            config |= {"padding": layer.padding, "groups": int(getattr(layer, "groups", 1))}
        weights = {"kernel": layer.kernel}
        return kind, config, weights if layer.bias is None else {**weights, "bias": layer.bias}

    return tell


def _batch_norm(call: Call) -> Told:
    layer: Any = call.operation
    if layer.axis not in (-1, len(call.inputs[0].shape) - 1):
        raise _Unknown(f"BatchNormalization over axis {layer.axis}")
    weights = {"mean": layer.moving_mean, "variance": layer.moving_variance}
    ones = np.ones(layer.moving_mean.shape, "float32")
    weights |= {
        "gamma": layer.gamma if layer.scale else ones,
        "beta": layer.beta if layer.center else 0 * ones,
    }
    return "BatchNormalization", {"epsilon": layer.epsilon, "momentum": layer.momentum}, weights


def _layer_norm(call: Call) -> Told:
    layer: Any = call.operation
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    if axis not in (-1, len(call.inputs[0].shape) - 1) or not (layer.scale and layer.center):
        raise _Unknown("LayerNormalization over another axis than the last, or without scale and offset")
    return "LayerNormalization", {"epsilon": layer.epsilon}, {"gamma": layer.gamma, "beta": layer.beta}


def _pixels(call: Call) -> Told:
    layer: Any = call.operation
    channels = call.inputs[0].shape[-1]
    mean, std = (np.broadcast_to(np.asarray(v, "float32"), (channels,)) for v in (layer.mean, layer.std))
    return "PixelNormalization", {}, {"scale": 1 / std, "offset": -mean / std}


def _pool(kind: str) -> Callable[[Call], Told]:
    def tell(call: Call) -> Told:
        layer: Any = call.operation
        config = {
            "pool_size": list(layer.pool_size),
            "strides": list(layer.strides),
            "padding": layer.padding,
        }
        return kind, config, {}

    return tell


def _global(kind: str) -> Callable[[Call], Told]:
    return lambda call: (kind, {"keepdims": bool(getattr(call.operation, "keepdims", False))}, {})


def _plain(kind: str, *attributes: str) -> Callable[[Call], Told]:
    """A kind whose config is some attributes of the layer or operation."""

    def tell(call: Call) -> Told:
        config = {name: _for_json(getattr(call.operation, name)) for name in attributes}
        return kind, config, {}

    return tell


def _for_json(value: Any) -> Any:
    return [_for_json(part) for part in value] if isinstance(value, (list, tuple)) else value


def _relu(call: Call) -> Told:
    layer: Any = call.operation
    if layer.threshold:
        raise _Unknown("ReLU with a threshold")
    slope = float(layer.negative_slope or 0)
    return "ReLU", {"max_value": layer.max_value, "negative_slope": slope}, {}


def _leaky(call: Call) -> Told:
    return "ReLU", {"max_value": None, "negative_slope": float(call.operation.negative_slope)}, {}


def _named(function: str) -> Callable[[Call], Told]:
    return lambda call: ("Activation", {"function": function}, {})


def _gelu(call: Call) -> Told:
    approximate = getattr(call.operation, "approximate", True)
    return "Activation", {"function": "gelu_tanh" if approximate else "gelu"}, {}


def _dropout(call: Call) -> Told:
    layer: Any = call.operation
    # One number an image is stochastic depth.
    whole = getattr(layer, "noise_shape", None) is not None
    return "Dropout", {"rate": float(layer.rate), "images": whole}, {}


def _pairwise(kind: str) -> Callable[[Call], Told]:
    """A sum or product of values, or of one and a weight or a number."""

    def tell(call: Call) -> Told:
        if len(call.inputs) > 1:
            return kind, {}, {}
        (other,) = [a for a in (*call.args, *call.kwargs.values()) if not isinstance(a, keras.KerasTensor)]
        if isinstance(other, (int, float)):
            return f"{kind}Constant", {"value": float(other)}, {}
        return f"{kind}Constant", {}, {"value": other}

    return tell


def _added(value: Callable[[Any], Any]) -> Callable[[Call], Told]:
    """A layer that adds an array which depends on its weights alone."""
    return lambda call: ("AddConstant", {}, {"value": value(call.operation)})


def _slice(call: Call) -> Told:
    key = call.args[1] if len(call.args) > 1 else call.kwargs["key"]
    keys = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, (slice, int)) for part in keys):
        raise _Unknown("GetItem by anything but slices and numbers")
    parts = [[part.start, part.stop, part.step] if isinstance(part, slice) else part for part in keys]
    return "Slice", {"slices": parts}, {}


def _pad(call: Call) -> Told:
    operation: Any = call.operation
    if operation.mode != "constant" or any(value for value in call.args[1:]) or any(call.kwargs.values()):
        raise _Unknown("Pad with anything but zeros")
    return "Pad", {"pad_width": _for_json(operation.pad_width)}, {}


LAYERS: dict[str, Callable[[Call], Told]] = {
    "Conv2D": _weighted("Conv2D"),
    "DepthwiseConv2D": _weighted("DepthwiseConv2D"),
    "Dense": _weighted("Dense"),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "PixelNormalization": _pixels,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "Activation": lambda call: ("Activation", {"function": _activation(call.operation.activation)}, {}),
    "Softmax": _plain("Softmax", "axis"),
    "MaxPooling2D": _pool("MaxPooling2D"),
    "AveragePooling2D": _pool("AveragePooling2D"),
    "GlobalAveragePooling2D": _global("GlobalAveragePooling2D"),
    "GlobalAveragePooling1D": _global("GlobalAveragePooling1D"),
    "GlobalMaxPooling2D": _global("GlobalMaxPooling2D"),
    "Add": _plain("Add"),
    "Multiply": _plain("Multiply"),
    "Concatenate": _plain("Concatenate", "axis"),
    "ZeroPadding2D": _plain("ZeroPadding2D", "padding"),
    "Flatten": _plain("Flatten"),
    "Reshape": _plain("Reshape", "target_shape"),
    "Permute": _plain("Permute", "dims"),
    "Dropout": _dropout,
    "Identity": _plain("Identity"),
    "LayerScale": lambda call: ("MultiplyConstant", {}, {"value": call.operation.scale}),
    "RelativePositionBias": _added(lambda layer: layer.bias()),
    "WindowMask": _added(lambda layer: layer.bias()),
}
"""What tells each layer, by its class."""

OPERATIONS: dict[str, Callable[[Call], Told]] = {
    "Add": _pairwise("Add"),
    "Multiply": _pairwise("Multiply"),
    "Concatenate": _plain("Concatenate", "axis"),
    "Relu": _named("relu"),
    "Relu6": _named("relu6"),
    "Sigmoid": _named("sigmoid"),
    "Tanh": _named("tanh"),
    "Silu": _named("silu"),
    "HardSigmoid": _named("hard_sigmoid"),
    "HardSilu": _named("hard_silu"),
    "Gelu": _gelu,
    "Softmax": _plain("Softmax", "axis"),
    "Mean": _plain("Mean", "axis", "keepdims"),
    "Max": _plain("Max", "axis", "keepdims"),
    "Matmul": _plain("Matmul"),
    "Reshape": _plain("Rows", "newshape"),
    "Transpose": _plain("Transpose", "axes"),
    "Split": _plain("Split", "indices_or_sections", "axis"),
    "GetItem": _slice,
    "Pad": _pad,
    "ZerosLike": _plain("ZerosLike"),
}
"""What tells each operation of `keras.ops`, by its class."""
