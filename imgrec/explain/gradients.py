"""Derivatives of a model's outputs by what goes in, on the backends that give them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError

if TYPE_CHECKING:
    import keras

Derivative = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.float32]]
"""(inputs `[N, …]`, weights `[N, K]`) → ∂ Σ weights · outputs / ∂ inputs, float32 `[N, …]`."""


def derivative(model: "keras.Model", method: str) -> Derivative:
    """Return the derivative of the outputs `[N, K]` of `model`, run as for answers, by its one input.

    Args:
        model: functional, one input and one output.
        method: what the explanation is called, for the message.

    Raises:
        InputError: the backend that Keras runs on has no path for gradients here.
    """
    import keras

    backend = keras.backend.backend()
    if backend not in _BACKENDS:
        raise InputError(
            f"--explain {method}: needs gradients, which are taken on the {' or '.join(_BACKENDS)} backend, "
            f"and Keras runs on {backend}: set KERAS_BACKEND, or take occlusion, which needs none"
        )
    return _BACKENDS[backend](model)


def _by_tensorflow(model: "keras.Model") -> Derivative:
    import tensorflow as tf

    def derive(inputs: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float32]:
        given = tf.convert_to_tensor(inputs, tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(given)
            outputs = tf.cast(model(given, training=False), tf.float32)
            total = tf.reduce_sum(outputs * tf.convert_to_tensor(weights, tf.float32))
        return tf.cast(tape.gradient(total, given), tf.float32).numpy()

    return derive


def _by_jax(model: "keras.Model") -> Derivative:
    import jax
    import jax.numpy as jnp

    trainable = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]

    def total(inputs: Any, weights: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, fixed, inputs, training=False)
        return jnp.sum(outputs.astype(jnp.float32) * weights)

    compiled = jax.jit(jax.grad(total))

    def derive(inputs: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.asarray(compiled(jnp.float32(inputs), jnp.float32(weights)), np.float32)

    return derive


_BACKENDS: dict[str, Callable[["keras.Model"], Derivative]] = {
    "tensorflow": _by_tensorflow,
    "jax": _by_jax,
}
