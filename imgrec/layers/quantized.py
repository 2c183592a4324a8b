"""Layers whose weights are rounded in the forward pass, and the few that a file needs besides."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.layers.fake_quant import ActivationRange, constant, current_mode, round_tensor, to_numpy
from imgrec.layers.rounded_kernel import RoundsKernel, largest_step, round_bias


def _value(variable: Any) -> Any:
    """A variable's value: a constant in a file."""
    return constant(to_numpy(variable)) if current_mode() == "export" else ops.convert_to_tensor(variable)


@keras.saving.register_keras_serializable("imgrec")
class QuantizedConv2D(RoundsKernel, keras.layers.Conv2D):
    """`Conv2D` with bias, its kernel rounded, one scale per filter. `[B,H,W,C]` → `[B,h,w,F]`."""

    AXES = (0, 1, 2)

    def call(self, inputs: Any) -> Any:
        """Convolve with the rounded kernel and add the bias."""
        return self.convolution_op(self.shielded(inputs), self.rounded_kernel()) + self.rounded_bias()


@keras.saving.register_keras_serializable("imgrec")
class QuantizedDepthwiseConv2D(RoundsKernel, keras.layers.DepthwiseConv2D):
    """`DepthwiseConv2D` with bias, its kernel rounded, one scale per channel."""

    AXES = (0, 1)

    def call(self, inputs: Any) -> Any:
        """Convolve with the rounded kernel and add the bias."""
        outputs = ops.depthwise_conv(
            self.shielded(inputs),
            self.rounded_kernel(),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return outputs + self.rounded_bias()


@keras.saving.register_keras_serializable("imgrec")
class QuantizedDense(RoundsKernel, keras.layers.Dense):
    """`Dense` with bias, its kernel rounded, one scale per unit. `[B, …, C]` → `[B, …, U]`.

    Computed as a product of two matrices whatever the input's rank, because that is what TFLite's
    FULLY_CONNECTED is.
    """

    AXES = (0,)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Multiply by the rounded kernel and add the bias."""
        shape = inputs.shape
        rows = inputs if len(shape) == 2 else ops.reshape(inputs, (-1, shape[-1]))
        rows = ops.matmul(self.shielded(rows), self.rounded_kernel()) + self.rounded_bias()
        return rows if len(shape) == 2 else ops.reshape(rows, (-1, *shape[1:-1], self.units))


@keras.saving.register_keras_serializable("imgrec")
class FloatMatmul(keras.layers.Layer):
    """The product of two tensors that stays float32 in the file: minus of minus the one times the other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, first: Any, second: Any) -> Any:
        """Multiply."""
        if current_mode() != "export":
            return ops.matmul(first, second)
        return ops.negative(ops.matmul(ops.negative(first), second))


@keras.saving.register_keras_serializable("imgrec")
class ChannelAffine(keras.layers.Layer):
    """A factor and an offset for each channel, `[B, …, C]` → same: a batch normalisation on its own.

    Computed as a depthwise 1×1 convolution, so that the factors keep one scale each in the file; where it
    is left float32, as what it is.
    """

    def __init__(self, left_float: bool = False, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.left_float = left_float
        self._input_step: Callable[[], Any] | None = None

    def reads(self, source: ActivationRange | None) -> None:
        """Say in which range the input is rounded; None, in none: the offset is not rounded."""
        self._input_step = source.step_size if source is not None else None

    def _rounded_offset(self) -> Any:
        if self._input_step is None or current_mode() != "quantise":
            return _value(self.offset)
        kernel_steps = largest_step(ops.reshape(self.scale, (1, -1)), (0,), np_like=ops)[0]
        return round_bias(ops.convert_to_tensor(self.offset), self._input_step(), kernel_steps)

    def build(self, input_shape: Any) -> None:
        """Create `scale` and `offset`, one value per channel."""
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.offset = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="offset")

    def call(self, x: Any) -> Any:
        """Multiply and add."""
        if self.left_float:
            return x * _value(self.scale) + _value(self.offset)
        shape = x.shape
        # One factor a channel is its own scale's 127th step: rounding leaves it as it is.
        kernel = ops.reshape(_value(self.scale), (1, 1, -1, 1))
        image = x if len(shape) == 4 else ops.reshape(x, (-1, _rows(shape), 1, shape[-1]))
        image = ops.depthwise_conv(image, kernel) + self._rounded_offset()
        return image if len(shape) == 4 else ops.reshape(image, (-1, *shape[1:]))

    def get_config(self) -> dict[str, Any]:
        """Whether it is left float32."""
        return {**super().get_config(), "left_float": self.left_float}


def _rows(shape: tuple[int | None, ...]) -> int:
    rows = 1
    for side in shape[1:-1]:
        rows *= int(side or 1)
    return rows


class _WithWeight(keras.layers.Layer):
    """One trained tensor beside the input, rounded to one asymmetric int8 range."""

    def __init__(self, shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.shape = tuple(shape)

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_weight(shape=self.shape, initializer="zeros", name="weight")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shape": self.shape}


@keras.saving.register_keras_serializable("imgrec")
class AddWeight(_WithWeight):
    """`x + weight`, broadcast: position embeddings, class tokens."""

    def call(self, x: Any) -> Any:
        """Add."""
        return ops.add(x, round_tensor(self.weight))


@keras.saving.register_keras_serializable("imgrec")
class Token(_WithWeight):
    """The weight for each image of a batch, whatever the input holds: a class token.

    `[B, …]` → `[B, …]`, not rounded here: it is concatenated, in the concatenation's range.
    """

    def call(self, x: Any) -> Any:
        """Broadcast the weight to the input's shape."""
        if current_mode() == "export" and x.shape[0] is not None:
            return constant(np.broadcast_to(to_numpy(self.weight), tuple(x.shape)))
        return ops.zeros_like(x) + _value(self.weight)


@keras.saving.register_keras_serializable("imgrec")
class MultiplyWeight(_WithWeight):
    """`x · weight`, broadcast: layer scale."""

    def call(self, x: Any) -> Any:
        """Multiply."""
        return ops.multiply(x, round_tensor(self.weight))


@keras.saving.register_keras_serializable("imgrec")
class AddConstant(keras.layers.Layer):
    """`x + value` for a number."""

    def __init__(self, value: float, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.value = float(value)

    def call(self, x: Any) -> Any:
        """Add."""
        return ops.add(x, self.value)

    def get_config(self) -> dict[str, Any]:
        """The number."""
        return {**super().get_config(), "value": self.value}


@keras.saving.register_keras_serializable("imgrec")
class MultiplyConstant(AddConstant):
    """`x · value` for a number."""

    def call(self, x: Any) -> Any:
        """Multiply."""
        return ops.multiply(x, self.value)


@keras.saving.register_keras_serializable("imgrec")
class TanhGelu(keras.layers.Layer):
    """GELU in its tanh form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, x: Any) -> Any:
        """Apply it."""
        return ops.gelu(x, approximate=True)


@keras.saving.register_keras_serializable("imgrec")
class FloatLayerNormalization(keras.layers.LayerNormalization):
    """`LayerNormalization` over the last axis that stays float32 in the file.

    The mean is a sum times 1/C: the converter turns a mean of an int8 tensor into int8, and its
    rounding would then be amplified by the division by the standard deviation.
    """

    def call(self, inputs: Any) -> Any:
        """Normalise each position over its channels."""
        share = 1.0 / inputs.shape[-1]
        mean = ops.sum(inputs, axis=-1, keepdims=True) * share
        centred = inputs - mean
        variance = ops.sum(centred * centred, axis=-1, keepdims=True) * share
        outputs = centred * ops.rsqrt(variance + self.epsilon)
        outputs = outputs * _value(self.gamma) if self.scale else outputs
        return outputs + _value(self.beta) if self.center else outputs
