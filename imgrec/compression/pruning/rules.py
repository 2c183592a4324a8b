"""What each kind of step does with the labels of its inputs."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from imgrec.compression.graph import Step
from imgrec.compression.pruning.tracer import Tracer, channels_of
from imgrec.compression.pruning.units import Labels, Work

Rule: TypeAlias = Callable[[Tracer, Step, list[Labels]], list[Labels]]


def rule_of(step: Step) -> Rule:
    """Return the rule for a step; `whole` where none is known."""
    name = type(step.operation).__name__
    if not isinstance(step.operation, keras.Layer):
        return OPERATIONS.get(name, whole)
    # A user's own subclass may compute anything under a familiar name.
    ours = type(step.operation).__module__.split(".")[0] in ("keras", "imgrec")
    return LAYERS.get(name, whole) if ours else whole


def whole(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """All that it reads and gives stays."""
    for labels in inputs:
        tracer.keep(labels, step)
    return [np.zeros(_shape(tensor, inputs), np.int64) for tensor in step.outputs]


def _shape(tensor: keras.KerasTensor, inputs: list[Labels]) -> tuple[int, ...]:
    """The output's shape; images, windows and sequences along its first axis are as many as they were."""
    first, *rest = tensor.shape
    return (inputs[0].shape[0] if first is None and inputs else first or 1, *rest)


def _spread(labels: Labels, step: Step, inputs: list[Labels]) -> list[Labels]:
    return [np.broadcast_to(labels, _shape(step.outputs[0], inputs))]


def _read(tracer: Tracer, step: Step, labels: Labels) -> Labels:
    """The channels that come in, along the last axis."""
    channels = channels_of(labels)
    if channels is None:
        tracer.keep(labels, step)
        return np.zeros(labels.shape[-1], np.int64)
    return channels


def _weighted(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """Convolution, grouped or not, and dense layer."""
    layer: Any = step.operation
    if getattr(layer, "data_format", "channels_last") != "channels_last" or _mixes(layer):
        return whole(tracer, step, inputs)
    kernel, groups = layer.kernel, getattr(layer, "groups", 1)
    source, made = _read(tracer, step, inputs[0]), tracer.made(step, kernel.shape[-1])
    if groups > 1:  # each group loses the channels of the same places
        for labels in (source, made):
            rows = labels.reshape(groups, -1)
            tracer.found.ties.tie(rows[1:], np.broadcast_to(rows[0], rows[1:].shape))
    taps = kernel.ndim - 2
    tracer.cut(kernel, taps, source[: len(source) // groups], reads=True)
    tracer.cut(kernel, taps + 1, made)
    if layer.bias is not None:
        tracer.cut(layer.bias, 0, made)
    shape = _shape(step.outputs[0], inputs)
    places = int(np.prod(shape[:-1])) * int(np.prod(kernel.shape[:taps]))
    tracer.found.work.append(Work(places / groups, source, made))
    return [np.broadcast_to(made, shape)]


def _deformable(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """Two convolutions of one map: that of the values, and that of offsets and weights, which stay."""
    layer: Any = step.operation
    source, made = _read(tracer, step, inputs[0]), tracer.made(step, layer.kernel.shape[-1])
    tracer.cut(layer.kernel, 2, source, reads=True)
    tracer.cut(layer.kernel, 3, made)
    tracer.cut(layer.guide.kernel, 2, source, reads=True)
    shape = _shape(step.outputs[0], inputs)
    places = int(np.prod(shape[:-1])) * int(np.prod(layer.kernel.shape[:2]))
    guide = np.zeros(layer.guide.kernel.shape[-1], np.int64)
    tracer.found.work += [Work(places, source, made), Work(places, source, guide)]
    return [np.broadcast_to(made, shape)]


def _depthwise(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    layer: Any = step.operation
    if layer.data_format != "channels_last":
        return whole(tracer, step, inputs)
    source = _read(tracer, step, inputs[0])
    made = np.repeat(source, layer.kernel.shape[3])
    tracer.cut(layer.kernel, 2, source)
    if layer.bias is not None:
        tracer.cut(layer.bias, 0, made)
    shape = _shape(step.outputs[0], inputs)
    tracer.found.work.append(Work(int(np.prod(shape[:-1])) * int(np.prod(layer.kernel_size)), None, made))
    return [np.broadcast_to(made, shape)]


def _by_channel(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """Weights of a value a channel: batch normalisation, a factor."""
    layer: Any = step.operation
    if getattr(layer, "axis", -1) not in (-1, inputs[0].ndim - 1):
        return whole(tracer, step, inputs)
    channels = _read(tracer, step, inputs[0])
    for variable in layer.weights:
        tracer.cut(variable, 0, channels)
    return _spread(channels, step, inputs)


def _same(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """Each value by itself."""
    return [inputs[0]]


def _activation(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    return (whole if _mixes(step.operation) else _same)(tracer, step, inputs)


def _mixes(layer: Any) -> bool:
    """Whether a layer's activation is one of all channels together."""
    return getattr(layer.activation, "__name__", "") in ("softmax", "log_softmax", "glu", "sparsemax")


def _windows(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """Pooling and padding of places, channel by channel."""
    if getattr(step.operation, "data_format", "channels_last") != "channels_last":
        return whole(tracer, step, inputs)
    return _spread(_read(tracer, step, inputs[0]), step, inputs)


def _reduced(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """A mean, sum or maximum along axes, which may be no axis of channels."""
    operation: Any = step.operation
    options = {"axis": operation.axis, "keepdims": operation.keepdims}
    if isinstance(options["axis"], list):
        options["axis"] = tuple(options["axis"])
    low, high = np.min(inputs[0], **options), np.max(inputs[0], **options)
    return [high] if np.array_equal(low, high) else whole(tracer, step, inputs)


def _pairwise(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """Sum or product of tensors; of one and a number, or a weight of its own, which ties it to what stays."""
    if len(inputs) == 1:
        values = [v for v in (*step.args, *step.kwargs.values()) if not isinstance(v, keras.KerasTensor)]
        plain = all(v is None or isinstance(v, bool) or np.ndim(v) == 0 for v in values)
        return (_same if plain else whole)(tracer, step, inputs)
    shape = np.broadcast_shapes(*(labels.shape for labels in inputs))
    result: Labels | None = None
    for labels in inputs:
        if labels.shape[-1] == 1 < shape[-1]:
            tracer.keep(labels, step)  # a gate for all channels of a place is none of them
        elif result is None:
            result = np.broadcast_to(labels, shape)
        else:
            _tie(tracer, result, np.broadcast_to(labels, shape))
    return [np.zeros(shape, np.int64) if result is None else result]


def _tie(tracer: Tracer, one: Labels, other: Labels) -> None:
    rows = channels_of(one), channels_of(other)
    if rows[0] is not None and rows[1] is not None:
        one, other = rows[0], rows[1]
    tracer.found.ties.tie(one, other)


def _moved(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """What moves or picks values: the operation itself, on labels."""
    queue = [labels.astype("int32") for labels in inputs]
    args, kwargs = keras.tree.map_structure(
        lambda v: keras.ops.convert_to_tensor(queue.pop(0)) if isinstance(v, keras.KerasTensor) else v,
        (step.args, step.kwargs),
    )
    kwargs.pop("training", None)
    outputs = keras.tree.flatten(step.operation.call(*args, **kwargs))
    return [keras.ops.convert_to_numpy(each).astype(np.int64) for each in outputs]


def _cut(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """A part of a tensor, by numbers that count its channels only where it is not cut along them."""
    outputs = _moved(tracer, step, inputs)
    along = any(set(np.unique(part)) != set(np.unique(inputs[0])) for part in outputs)
    return whole(tracer, step, inputs) if along else outputs


def _reshaped(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """A new shape: one that a composite computes follows its input; one given as numbers does not."""
    outputs = _moved(tracer, step, inputs)
    return outputs if tracer.composite_of(step) else whole(tracer, step, inputs)


def _product(tracer: Tracer, step: Step, inputs: list[Labels]) -> list[Labels]:
    """A matrix product, as of attention: it stays, and costs what it costs."""
    outputs = whole(tracer, step, inputs)
    tracer.found.work.append(Work(outputs[0].size * inputs[0].shape[-1], None, None))
    return outputs


LAYERS: dict[str, Rule] = {
    "Conv2D": _weighted,
    "Dense": _weighted,
    "DepthwiseConv2D": _depthwise,
    "DeformableConv2D": _deformable,
    "BatchNormalization": _by_channel,
    "LayerScale": _by_channel,
    "Activation": _activation,
    "Concatenate": _moved,
    "Flatten": _moved,
    "Permute": _moved,
    "Reshape": _reshaped,
    **dict.fromkeys(("ReLU", "LeakyReLU", "ELU", "Dropout", "SpatialDropout2D", "Identity"), _same),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum"), _pairwise),
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D", "ZeroPadding2D", "UpSampling2D"), _windows),
    **dict.fromkeys(
        ("GlobalAveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalMaxPooling1D"),
        _windows,
    ),
}
"""Rules for layers, by the names of their classes; `whole` for any other."""

OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(("Relu", "Relu6", "Sigmoid", "Tanh", "Silu", "HardSigmoid", "HardSilu"), _same),
    **dict.fromkeys(("LeakyRelu", "Gelu", "Negative", "Cast", "Erf"), _same),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum"), _pairwise),
    **dict.fromkeys(("Mean", "Sum", "Max", "Amax"), _reduced),
    **dict.fromkeys(
        ("Concatenate", "Transpose", "Swapaxes", "ExpandDims", "Squeeze", "Flip", "Roll"), _moved
    ),
    "Reshape": _reshaped,
    "Matmul": _product,
    "GetItem": _cut,
    "Split": _cut,
}
"""The same for operations of `keras.ops`."""
