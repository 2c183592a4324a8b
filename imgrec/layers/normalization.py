"""Batch normalisation with TensorFlow's fused kernel."""

from typing import Any

import keras
from keras import ops

from imgrec.processors import on_processors

_VECTOR = 16
"""Channels that TensorFlow's kernel takes at a time in bfloat16; with others left over it falls back."""


@keras.saving.register_keras_serializable("imgrec")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation, weight for weight and config for config, on the fused kernel.

    Keras 3 composes the operation from moments and element-wise arithmetic, which costs a ResNet
    step on a CPU half as much again. Over the last axis of a `[B, H, W, C]` tensor on the TensorFlow
    backend, this layer calls the fused kernel instead; anywhere else it is Keras's own layer.
    Statistics are float32 under every precision policy; the output has the compute dtype.

    With `uses_batch` set, a call normalises by the batch's statistics and notes them in the moving ones,
    whatever `training` says, so that other layers (dropout) can stay as they are in use:
    `learning/adaptive_bn.py`.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015 (arXiv 1502.03167).
    """

    uses_batch = False

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise `inputs` by batch statistics (training) or by the moving ones."""
        training = True if self.uses_batch else training
        if not self._fusable(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            return self._train_step(inputs)
        return self._fused(inputs, self.moving_mean, self.moving_variance, is_training=False)[0]

    def _fusable(self, inputs: Any, mask: Any) -> bool:
        rank = len(inputs.shape)
        return (
            keras.backend.backend() == "tensorflow"
            and rank == 4
            and self.axis in (-1, rank - 1)
            and mask is None
            and self.scale
            and self.center
            and not self.synchronized
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        )

    def _uneven(self, inputs: Any) -> bool:
        """Whether a processor takes 2 to 3 times as long in bfloat16 as in float32, casts included."""
        bfloat16 = keras.backend.standardize_dtype(inputs.dtype) == "bfloat16"
        return bfloat16 and inputs.shape[-1] % _VECTOR != 0 and on_processors()

    def _fused(self, inputs: Any, mean: Any, variance: Any, *, is_training: bool) -> Any:
        import tensorflow as tf

        return tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.cast(self.gamma, "float32"),
            offset=ops.cast(self.beta, "float32"),
            mean=ops.cast(mean, "float32"),
            variance=ops.cast(variance, "float32"),
            epsilon=self.epsilon,
            is_training=is_training,
        )

    def _train_step(self, inputs: Any) -> Any:
        empty, dtype = ops.zeros((0,), "float32"), inputs.dtype
        if self._uneven(inputs):
            inputs = ops.cast(inputs, "float32")
        outputs, mean, variance, *_ = self._fused(inputs, empty, empty, is_training=True)
        # The kernel returns the unbiased variance; Keras keeps the biased one in its moving average.
        count = ops.cast(ops.size(inputs) // ops.shape(inputs)[-1], "float32")
        variance = variance * (count - 1.0) / count
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1.0 - self.momentum))
        return ops.cast(outputs, dtype)
