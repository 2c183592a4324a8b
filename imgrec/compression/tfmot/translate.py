"""A `Description` as a model of tf_keras, Keras 2 as tfmot wants it.

Runs where `tf_keras` is installed, by itself or with tfmot (extra `tfmot`); imports no Keras 3.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from imgrec.compression.tfmot.description import Description, Step
from imgrec.errors import InputError

Built = tuple[Any, list[str]]
"""A layer, and the roles of its weights in the order of its `get_weights`."""
KERNEL = ["kernel", "bias"]


def build(description: Description, *, normalise: bool = True) -> Any:
    """Return the `tf_keras.Model` that computes what `description` says, its weights set.

    Args:
        description: of a network.
        normalise: False leaves the normalisation of pixels to the caller: the input is what it gives.

    Raises:
        InputError: names the kinds of step that have no builder, in one line.
    """
    unknown = sorted({step.kind for step in description.steps} - set(BUILDERS))
    if unknown:
        raise InputError(f"{description.name}: no tf_keras layer is known for {', '.join(unknown)}")
    image = tf_keras.Input(description.shape, name=description.input)
    values: dict[str, Any] = {description.input: image}
    layers: dict[str, Any] = {}
    for step in description.steps:
        inputs = [values[name] for name in step.inputs]
        if step.kind == "PixelNormalization" and not normalise:
            outputs = inputs
        else:
            outputs = _call(description, step, layers, inputs)
        values.update(zip(step.outputs, outputs, strict=True))
    return tf_keras.Model(image, values[description.output], name=description.name)


def normalisation(description: Description) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset of pixels, float32 `[C]`: the network sees `pixel · scale + offset`."""
    for step in description.steps:
        if step.kind == "PixelNormalization":
            weights = description.of(step)
            return weights["scale"], weights["offset"]
    channels = description.shape[-1]
    return np.ones(channels, np.float32), np.zeros(channels, np.float32)


def _call(description: Description, step: Step, layers: dict[str, Any], inputs: list[Any]) -> list[Any]:
    weights = description.of(step)
    layer = layers.get(step.layer)
    if layer is None:
        layer, roles = BUILDERS[step.kind](step, weights)
    outputs = layer(inputs if len(inputs) > 1 else inputs[0])
    if step.layer not in layers:
        layers[step.layer] = layer
        if roles:
            layer.set_weights(
                [weights[role].reshape(w.shape) for role, w in zip(roles, layer.weights, strict=True)]
            )
    if step.config.get("activation") in ACTIVATIONS:
        outputs = Operation(step.config["activation"], {}, name=f"{step.name}_activation")(outputs)
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


class Operation(tf_keras.layers.Layer):
    """What Keras 2 has no layer for: one of `FUNCTIONS`, with its settings, and at most one constant.

    Args:
        kind: key of `FUNCTIONS`.
        settings: what it takes beside the tensors.
        constant: shape of the weight `value` that it reads, None without one.
    """

    def __init__(
        self, kind: str, settings: dict[str, Any], constant: list[int] | None = None, **kw: Any
    ) -> None:
        super().__init__(**kw)
        self.kind, self.settings, self.constant = kind, settings, constant
        if constant is not None:
            self.value = self.add_weight(name="value", shape=constant, initializer="zeros", trainable=True)

    def call(self, inputs: Any) -> Any:
        """Compute it."""
        tensors = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if self.constant is not None:
            tensors = [*tensors, self.value]
        return FUNCTIONS[self.kind](*tensors, **self.settings)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"kind": self.kind, "settings": self.settings, "constant": self.constant}
        return {**super().get_config(), **own}


def _slice(x: Any, slices: list[list[int | None] | int]) -> Any:
    return x[tuple(part if isinstance(part, int) else slice(*part) for part in slices)]


def _hard_sigmoid(x: Any) -> Any:
    return tf.nn.relu6(x + 3.0) / 6.0


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
}
"""Activations that tf_keras has not, or with another meaning."""
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "AddConstant": lambda x, value: tf.add(x, value),
    "MultiplyConstant": lambda x, value: tf.multiply(x, value),
    "Mean": lambda x, axis, keepdims: tf.reduce_mean(x, axis, keepdims),
    "Max": lambda x, axis, keepdims: tf.reduce_max(x, axis, keepdims),
    "Matmul": tf.matmul,
    "Rows": lambda x, newshape: tf.reshape(x, newshape),
    "Transpose": lambda x, axes: tf.transpose(x, axes),
    "Split": lambda x, indices_or_sections, axis: tf.split(x, indices_or_sections, axis),
    "Slice": _slice,
    "Pad": lambda x, pad_width: tf.pad(x, pad_width),
    "ZerosLike": tf.zeros_like,
    **ACTIVATIONS,
}
"""Functions of TensorFlow on one or more tensors, by kind."""
KNOWN = ("relu", "relu6", "sigmoid", "tanh", "silu", "swish", "gelu", "softmax", "linear")
"""Activations that tf_keras has under the same name with the same meaning."""


def _operation(step: Step, weights: dict[str, np.ndarray]) -> Built:
    constant = list(weights["value"].shape) if "value" in weights else None
    return Operation(step.kind, step.config, constant, name=step.name), list(weights)


def _activation(step: Step, weights: dict[str, np.ndarray]) -> Built:
    name = step.config["function"]
    if name in ACTIVATIONS:
        return Operation(name, {}, name=step.name), []
    if name not in KNOWN:
        raise InputError(f"{step.name}: no activation of tf_keras is known for {name!r}")
    return tf_keras.layers.Activation("swish" if name == "silu" else name, name=step.name), []


def _own_activation(step: Step) -> str:
    name = str(step.config["activation"])
    if name in ACTIVATIONS:
        return "linear"  # `_call` puts it behind the layer
    if name not in KNOWN:
        raise InputError(f"{step.name}: no activation of tf_keras is known for {name!r}")
    return "swish" if name == "silu" else name


def _weighted(step: Step, weights: dict[str, np.ndarray]) -> Built:
    config, kernel = step.config, weights["kernel"]
    shared = {"activation": _own_activation(step), "use_bias": "bias" in weights, "name": step.name}
    roles = [role for role in KERNEL if role in weights]
    if step.kind == "Dense":
        return tf_keras.layers.Dense(kernel.shape[-1], **shared), roles
    shared |= {key: tuple(config[key]) for key in ("strides", "dilation_rate")}
    shared["padding"] = config["padding"]
    if step.kind == "DepthwiseConv2D":
        return tf_keras.layers.DepthwiseConv2D(
            kernel.shape[:2], depth_multiplier=kernel.shape[3], **shared
        ), roles
    return tf_keras.layers.Conv2D(
        kernel.shape[-1], kernel.shape[:2], groups=config["groups"], **shared
    ), roles


def _batch_norm(step: Step, weights: dict[str, np.ndarray]) -> Built:
    layer = tf_keras.layers.BatchNormalization(**step.config, name=step.name)
    return layer, ["gamma", "beta", "mean", "variance"]


def _layer_norm(step: Step, weights: dict[str, np.ndarray]) -> Built:
    return tf_keras.layers.LayerNormalization(**step.config, name=step.name), ["gamma", "beta"]


def _pixels(step: Step, weights: dict[str, np.ndarray]) -> Built:
    scale, offset = (weights[role].tolist() for role in ("scale", "offset"))
    return tf_keras.layers.Rescaling(scale, offset, name=step.name), []


def _relu(step: Step, weights: dict[str, np.ndarray]) -> Built:
    slope, ceiling = step.config["negative_slope"], step.config["max_value"]
    if slope and ceiling is None:
        return tf_keras.layers.LeakyReLU(slope, name=step.name), []
    return tf_keras.layers.ReLU(ceiling, slope, name=step.name), []


def _dropout(step: Step, weights: dict[str, np.ndarray]) -> Built:
    shape = (None, 1, 1, 1) if step.config["images"] else None
    return tf_keras.layers.Dropout(step.config["rate"], noise_shape=shape, name=step.name), []


def _identity(step: Step, weights: dict[str, np.ndarray]) -> Built:
    return tf_keras.layers.Activation("linear", name=step.name), []


def _standard(step: Step, weights: dict[str, np.ndarray]) -> Built:
    """A layer of the same name that takes the config as it stands."""
    config = {key: _tuples(value) for key, value in step.config.items()}
    return getattr(tf_keras.layers, step.kind)(**config, name=step.name), []


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


STANDARD = (
    *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalAveragePooling1D"),
    *("GlobalMaxPooling2D", "Add", "Multiply", "Concatenate", "ZeroPadding2D", "Flatten", "Reshape"),
    *("Permute", "Softmax"),
)
BUILDERS: dict[str, Callable[[Step, dict[str, np.ndarray]], Built]] = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "Dense"), _weighted),
    **dict.fromkeys(STANDARD, _standard),
    **{kind: _operation for kind in FUNCTIONS if kind not in ACTIVATIONS},
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "PixelNormalization": _pixels,
    "ReLU": _relu,
    "Activation": _activation,
    "Dropout": _dropout,
    "Identity": _identity,
}
"""What builds each kind of step."""
