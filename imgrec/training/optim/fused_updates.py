"""SGD and Adam in one kernel a variable on the TensorFlow backend, where Keras composes them of many.

Keras writes its rules in element-wise operations, each of which goes through all weights once more: of a
step of ViT-Ti at 64 px in batches of 8 on two cores they were a fifth, of ResNet-50's a fiftieth.
The arithmetic is Keras's, as are variables and configuration; only that Adam's kernel has
1 − β₂ from a β₂ rounded to float32, which makes its step larger by 6 in a million.
"""

from typing import Any

import keras


def _fusable(gradient: Any) -> bool:
    """Whether the kernels take this gradient: any but sparse ones, on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(gradient, tf.Tensor)


def _handle(variable: Any) -> Any:
    """The resource of a Keras or TensorFlow variable; of a mirrored one, that of the device being updated."""
    return variable.value.handle if isinstance(variable, keras.Variable) else variable.handle


class FusedSGD(keras.optimizers.SGD):
    """SGD whose step is one kernel a variable.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, eq. 3
    and 4, in the form that Keras gives them.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        if not _fusable(gradient):
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        gradient = tf.cast(gradient, variable.dtype)
        rate = tf.cast(learning_rate, variable.dtype)
        if self.momentum == 0:
            tf.raw_ops.ResourceApplyGradientDescent(var=_handle(variable), alpha=rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=_handle(variable),
            accum=_handle(self.momentums[self._get_variable_index(variable)]),
            lr=rate,
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class FusedAdam(keras.optimizers.Adam):
    """Adam whose step is one kernel a variable.

    Source: Kingma and Ba, "Adam", 2015 (arXiv 1412.6980), the order of computation at the end of section 2.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        if self.amsgrad or not _fusable(gradient):
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        index = self._get_variable_index(variable)
        first, second = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=first**step,
            beta2_power=second**step,
            lr=tf.cast(learning_rate, dtype),
            beta1=first,
            beta2=second,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


class FusedAdamW(FusedAdam, keras.optimizers.AdamW):
    """`FusedAdam` with the decoupled weight decay of Keras's AdamW."""
