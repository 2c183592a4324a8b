"""Activations as quantisable operations: ReLUs fuse with what makes their input, curves have a range.

Each is written in the form whose int8 file agrees best with the Keras model, among those that the
converter accepts.
"""

from collections.abc import Callable
from typing import Any

import keras

from imgrec.compression.graph import Step
from imgrec.compression.operations import Op, Uncovered, Value, between

Handler = Callable[[Step], list[Op]]

# One operation of TFLite each. Of the forms of hard-swish, the undivided one becomes HARD_SWISH, which
# differs from the rounded float curve by one step on 0.4 % of its 256 inputs; products of rounded factors
# do so on 1 to 12 %.
CURVES = ("sigmoid", "tanh", "gelu", "softmax", "hard_silu")


def lower(function: Any, name: str, source: Value, output: Value) -> list[Op]:
    """Return the operations that compute the activation `function` of `source`.

    Args:
        function: one of `keras.activations`.
        name: of the operations.
        source: value before it.
        output: value after it.

    Raises:
        Uncovered: it has no int8 form.
    """
    title = getattr(function, "__name__", str(function))
    if title == "linear":
        return [Op("identity", name, [source], [output])]
    if title in ("relu", "relu6"):
        return [Op("relu", name, [source], [output], options={"ceiling": 6.0 if title == "relu6" else None})]
    if title in CURVES:
        return [Op("curve", name, [source], [output], options={"function": title})]
    if title in ("silu", "swish"):
        gate = between(output)
        return [
            Op("curve", f"{name}_gate", [source], [gate], options={"function": "sigmoid"}),
            Op("multiply", name, [source, gate], [output]),
        ]
    if title == "hard_sigmoid":
        return _hard_sigmoid(name, source, output)
    if title == "leaky_relu":
        return [_leaky(name, source, output, 0.2)]  # the default of `keras.activations`
    raise Uncovered(f"no int8 form is known for the activation {title!r}")


def _hard_sigmoid(name: str, source: Value, output: Value) -> list[Op]:
    """`relu6(x + 3) / 6`: a sum with ReLU6 in it, whose 256 points the division leaves as they are."""
    shifted, clipped = between(output), between(output)
    return [
        Op("add_constant", f"{name}_shift", [source], [shifted], options={"value": 3.0}),
        Op("relu", f"{name}_clip", [shifted], [clipped], options={"ceiling": 6.0, "top": 6.0}),
        Op("multiply_constant", name, [clipped], [output], options={"value": 1 / 6, "range": (0.0, 1.0)}),
    ]


def _leaky(name: str, source: Value, output: Value, slope: float) -> Op:
    return Op("curve", name, [source], [output], options={"function": "leaky_relu", "slope": slope})


def _relu_layer(step: Step) -> list[Op]:
    layer: Any = step.operation
    if layer.negative_slope or layer.threshold:
        raise Uncovered("only a ReLU with slope and threshold zero is covered")
    return [Op("relu", step.name, step.inputs, step.outputs, options={"ceiling": layer.max_value})]


def _leaky_relu(step: Step) -> list[Op]:
    slope = float(getattr(step.operation, "negative_slope", 0.2))
    return [_leaky(step.name, step.inputs[0], step.outputs[0], slope)]


def _activation_layer(step: Step) -> list[Op]:
    layer: Any = step.operation
    return lower(layer.activation, step.name, step.inputs[0], step.outputs[0])


def _softmax(step: Step) -> list[Op]:
    axis = getattr(step.operation, "axis", -1)
    if axis not in (-1, len(step.inputs[0].shape) - 1) or len(step.inputs) != 1:
        raise Uncovered("only an unmasked softmax over the last axis is covered")
    return [Op("curve", step.name, step.inputs, step.outputs, options={"function": "softmax"})]


def _gelu(step: Step) -> list[Op]:
    approximate = getattr(step.operation, "approximate", True)
    function = "gelu_tanh" if approximate else "gelu"
    return [Op("curve", step.name, step.inputs, step.outputs, options={"function": function})]


def _named(title: str) -> Handler:
    function = getattr(keras.activations, title)
    return lambda step: lower(function, step.name, step.inputs[0], step.outputs[0])


LAYERS: dict[str, Handler] = {
    "ReLU": _relu_layer,
    "LeakyReLU": _leaky_relu,
    "Activation": _activation_layer,
    "Softmax": _softmax,
}

OPERATIONS: dict[str, Handler] = {
    "Relu": _named("relu"),
    "Relu6": _named("relu6"),
    "Sigmoid": _named("sigmoid"),
    "Tanh": _named("tanh"),
    "Silu": _named("silu"),
    "HardSigmoid": _named("hard_sigmoid"),
    "HardSilu": _named("hard_silu"),
    "LeakyRelu": _leaky_relu,
    "Gelu": _gelu,
    "Softmax": _softmax,
}
