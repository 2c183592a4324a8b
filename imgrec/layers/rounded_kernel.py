"""Kernels rounded to int8 or int4: by their largest value, or with a step size that is learned.

Sources: Krishnamoorthi, 2018 (arXiv 1806.08342), section 3, for one symmetric scale an output channel;
Esser et al., "Learned Step Size Quantization", 2020 (arXiv 1902.08153), for steps that are learned.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.layers.fake_quant import ActivationRange, constant, current_mode, to_numpy

FLOAT = 32
"""Bits of a kernel that is left as it is."""
_SMALLEST = 1e-12  # keeps an all-zero kernel from dividing by zero


def levels_of(bits: int) -> int:
    """How many levels lie on either side of zero: 127, or 7."""
    return 2 ** (bits - 1) - 1


def largest_step(kernel: Any, axes: tuple[int, ...], bits: int = 8, np_like: Any = ops) -> Any:
    """Return the step of each output channel with which its largest value is the outermost level."""
    largest = np_like.max(np_like.abs(kernel), axis=axes, keepdims=True)
    return np_like.maximum(largest / levels_of(bits), _SMALLEST)


def first_step(kernel: np.ndarray, axes: tuple[int, ...], bits: int = 8) -> np.ndarray:
    """Return the steps that learning begins with, `2 · mean|w| / √levels` (Esser et al., section 2.1)."""
    mean = np.abs(kernel).mean(axis=axes, keepdims=True)
    return np.maximum(2 * mean / math.sqrt(levels_of(bits)), _SMALLEST).astype("float32")


def round_kernel(kernel: Any, axes: tuple[int, ...], bits: int = 8) -> Any:
    """Round a kernel to 255 or 15 levels, symmetric about zero, with one scale per output channel.

    The scale is the largest magnitude over `axes` divided by 127 or 7; the gradient passes straight through.

    Args:
        kernel: variable or tensor, float32.
        axes: all axes but the output channels'.
        bits: 8 or 4.
    """
    if current_mode() in ("observe", "bypass"):
        return ops.convert_to_tensor(kernel)
    kernel = ops.convert_to_tensor(kernel)
    step = largest_step(kernel, axes, bits)
    return kernel + ops.stop_gradient(ops.round(kernel / step) * step - kernel)


def learned_kernel(kernel: Any, step: Any, axes: tuple[int, ...], bits: int = 8) -> Any:
    """Round a kernel with steps that are learned: `step` has ones in `axes`, and the kernel's other sides.

    The gradient reaches the steps scaled by `1 / √(weights of a channel · levels)`.
    """
    if current_mode() in ("observe", "bypass"):
        return ops.convert_to_tensor(kernel)
    kernel, top = ops.convert_to_tensor(kernel), levels_of(bits)
    many = math.prod(kernel.shape[axis] for axis in axes)
    return round_by_step(kernel, step, -top, top, 1 / math.sqrt(many * top))


def round_by_step(x: Any, step: Any, low: Any, high: Any, scale: float) -> Any:
    """Return `round(clip(x / step, low, high)) · step`, with the gradients of Esser et al., equations 1 to 5.

    Args:
        x: float32, any shape.
        step: float32, broadcast to `x`; more than zero where it matters.
        low: lowest level, a whole number.
        high: highest level.
        scale: of the gradient that the step receives.
    """
    step = ops.maximum(ops.convert_to_tensor(step), _SMALLEST)
    step = step * scale + ops.stop_gradient(step * (1 - scale))
    level = ops.clip(x / step, low, high)
    level = level + ops.stop_gradient(ops.floor(level + 0.5) - level)
    return level * step


def kernel_levels(
    kernel: np.ndarray, step: np.ndarray | None, axes: tuple[int, ...], bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the levels of a kernel, whole numbers in float32, and its steps; None: by its largest values."""
    top = levels_of(bits)
    if step is None:
        size = largest_step(kernel, axes, bits, np)
        return np.round(kernel / size), size
    size = np.maximum(step, np.float32(_SMALLEST))
    return np.floor(np.clip(kernel / size, -top, top) + np.float32(0.5)), size


def round_bias(bias: Any, input_step: Any, kernel_steps: Any) -> Any:
    """Round a bias to the steps of the file's int32 one: the input's times its channel's kernel's.

    Left out, it shifts a whole channel by up to half such a step, and a value in a few hundred comes to lie
    on the neighbouring point; behind fifty layers most do. The gradient passes straight through.

    Args:
        bias: float32 `[F]`.
        input_step: float32 scalar, `ActivationRange.step_size`.
        kernel_steps: float32 `[F]`.
    """
    step = ops.stop_gradient(input_step * kernel_steps)
    return bias + ops.stop_gradient(ops.round(bias / step) * step - bias)


class RoundsKernel(keras.layers.Layer):
    """Mixed into a layer with a kernel and a bias: how that kernel is rounded.

    Args:
        bits: of its levels: 8, 4, or `FLOAT`, which leaves layer and input float32.
        learned: whether the steps are learned.
    """

    AXES: tuple[int, ...] = (0,)

    def __init__(self, *args: Any, bits: int = 8, learned: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bits, self.learned = bits, learned and bits != FLOAT
        self._input_step: Callable[[], Any] | None = None

    def reads(self, source: ActivationRange | None) -> None:
        """Say in which range the input is rounded; None, in none or in several: the bias is not rounded."""
        self._input_step = source.step_size if source is not None else None

    def build(self, input_shape: Any) -> None:
        """Create kernel and bias, and the steps where they are learned."""
        super().build(input_shape)
        if self.learned:
            # One row, as biases are, so that weight decay spares it.
            shape = (math.prod(self._step_shape),)
            self.step = self.add_weight(shape=shape, initializer="ones", name="step")

    @property
    def _step_shape(self) -> tuple[int, ...]:
        shape = self.weight_kernel.shape
        return tuple(1 if axis in self.AXES else size for axis, size in enumerate(shape))

    @property
    def weight_kernel(self) -> Any:
        """The kernel's variable."""
        return self.kernel if hasattr(self, "kernel") else self._kernel

    def starting_weights(self, kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """Return the layer's weights for a float layer's kernel and bias."""
        steps = [first_step(kernel, self.AXES, self.bits).ravel()] if self.learned else []
        return [kernel, bias, *steps]

    def rounded_kernel(self) -> Any:
        """The kernel as the file will have it; of a float layer in a file, negated, as `shielded` is."""
        kernel = self.weight_kernel
        if current_mode() == "export":
            levels, steps = (-to_numpy(kernel), 1.0) if self.bits == FLOAT else self.levels()
            return constant(levels * steps)
        if self.bits == FLOAT:
            return ops.convert_to_tensor(kernel)
        if self.learned:
            return learned_kernel(kernel, ops.reshape(self.step, self._step_shape), self.AXES, self.bits)
        return round_kernel(kernel, self.AXES, self.bits)

    def rounded_bias(self) -> Any:
        """The bias as the file will have it; for the export as it is, since the converter rounds it."""
        if current_mode() == "export":
            return constant(to_numpy(self.bias))
        bias = ops.convert_to_tensor(self.bias)
        if self._input_step is None or self.bits == FLOAT or current_mode() != "quantise":
            return bias
        step = self.step if self.learned else largest_step(self.weight_kernel, self.AXES, self.bits)
        return round_bias(bias, self._input_step(), ops.reshape(step, (-1,)))

    def shielded(self, x: Any) -> Any:
        """The layer's input: of a float layer in a file, negated.

        The converter makes int8 whatever lies between two rounded tensors. A tensor that is not rounded
        keeps it from that, and minus times minus is exact.
        """
        return ops.negative(x) if self.bits == FLOAT and current_mode() == "export" else x

    def levels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel's levels, int8, and its steps, float32 with ones in `AXES`: what the file has."""
        step = to_numpy(self.step).reshape(self._step_shape) if self.learned else None
        whole, size = kernel_levels(to_numpy(self.weight_kernel), step, self.AXES, self.bits)
        return whole.astype("int8"), size.astype("float32")

    def get_config(self) -> dict[str, Any]:
        """The layer's own, and how the kernel is rounded."""
        return {**super().get_config(), "bits": self.bits, "learned": self.learned}
