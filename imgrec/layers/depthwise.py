"""Depthwise convolution that spares processors TensorFlow's slow bfloat16 gradients."""

from typing import Any

import keras
from keras import ops

from imgrec.processors import on_processors


@keras.saving.register_keras_serializable("imgrec")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Keras's depthwise convolution, weight for weight and config for config.

    In bfloat16 on a processor, TensorFlow has no fast kernel for the gradients of windows beyond 3 × 3 or
    of strides: they take 2 to 16 times as long as in float32. There this layer computes the gradients in
    float32 and rounds them; what it returns is Keras's own.

    Source: Howard et al., "MobileNets", 2017 (arXiv 1704.04861), section 3.1, for the operation.
    """

    def call(self, inputs: Any) -> Any:
        """Convolve every channel of `inputs` `[B, H, W, C]` by itself."""
        if not self._slow(inputs):
            return super().call(inputs)
        outputs = _convolved(inputs, self.kernel, self.strides[0], self.padding)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _slow(self, inputs: Any) -> bool:
        return (
            keras.backend.standardize_dtype(inputs.dtype) == "bfloat16"
            and (max(self.kernel_size) > 3 or self.strides[0] > 1)
            and self.strides[0] == self.strides[1]
            and max(self.dilation_rate) == 1
            and self.data_format == "channels_last"
            and on_processors()
        )


def _convolved(inputs: Any, kernel: Any, stride: int, padding: str) -> Any:
    import tensorflow as tf

    steps = {"strides": (1, stride, stride, 1), "padding": padding.upper()}

    @tf.custom_gradient
    def convolve(x: Any, w: Any) -> Any:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            wide_x, wide_w, outer = (tf.cast(part, tf.float32) for part in (x, w, upstream))
            to_x = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x), filter=wide_w, out_backprop=outer, **steps
            )
            to_w = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=wide_x, filter_sizes=tf.shape(w), out_backprop=outer, **steps
            )
            return tf.cast(to_x, x.dtype), tf.cast(to_w, w.dtype)

        return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=w, **steps), gradients

    # Read here: a variable read by what has a gradient of its own would need one of its own too.
    return convolve(inputs, tf.convert_to_tensor(kernel))
