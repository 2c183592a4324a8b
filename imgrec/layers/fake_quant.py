"""Rounding to int8 inside a float model, exactly as TFLite does it, with gradients that pass through.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018 (arXiv 1712.05877); the straight-through estimator is Bengio et al., 2013 (arXiv 1308.3432).
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from imgrec.layers.composite import Configured
from imgrec.layers.observers import read_observer

LEVELS = 255  # steps of an asymmetric 8-bit range
WEIGHT_LEVELS = 127  # steps on either side of zero: int8 weights never take -128
_NO_EXTENT = 1e-8  # a tensor that is always zero may have any range; kernels want no tiny scale
_TIE = 1e-3  # of a step: less than averages over any usual window lie apart

Mode = Literal["quantise", "observe", "bypass", "export"]
_mode: list[Mode] = ["quantise"]


@contextlib.contextmanager
def mode(name: Mode) -> Iterator[None]:
    """Say what quantisation-aware layers do inside the `with` block.

    `quantise` (always, outside a block): round to the range. `observe`: measure each batch, round
    nothing. `bypass`: neither. `export`: round by constants, which the TFLite converter reads. A
    function that was already compiled or traced keeps the mode that it was traced in.
    """
    _mode.append(name)
    try:
        yield
    finally:
        _mode.pop()


def current_mode() -> Mode:
    """The mode of the innermost `mode` block."""
    return _mode[-1]


def nudge(low: Any, high: Any, np_like: Any = ops, bits: int = 8) -> tuple[Any, Any]:
    """Widen `[low, high]` to hold zero, then shift it so that zero falls on one of its points.

    Args:
        low: float32 scalar.
        high: float32 scalar.
        np_like: `keras.ops`, or `numpy` for constants.
        bits: 8, or 16 for ranges symmetric about zero, the only ones that TFLite has of that width.

    Returns:
        The shifted pair, 255 or 65,534 steps apart, as TFLite's scale and zero-point give it.
    """
    low = np_like.minimum(low, 0.0)
    high = np_like.maximum(high, 0.0)
    high = np_like.where(high - low > _NO_EXTENT, high, low + 1.0)
    if bits == 16:
        end = np_like.maximum(-low, high)
        return -end, end
    scale = (high - low) / LEVELS
    zero_point = np_like.clip(np_like.round(-low / scale), 0.0, LEVELS)
    return -zero_point * scale, (LEVELS - zero_point) * scale


def round_to_range(x: Any, low: Any, high: Any, bits: int = 8) -> Any:
    """Clip `x` to a nudged range and round it to the nearest of its points: 256 of them, or 65,535.

    The gradient is one inside the range and zero outside it. On TensorFlow this is the fused kernel
    (one pass forward and one back, and the operation that the TFLite converter reads ranges from);
    on other backends the same is composed from `keras.ops`.

    Args:
        x: float32, any shape.
        low: nudged lower end, float32 scalar.
        high: nudged upper end, float32 scalar.
        bits: 8 or 16.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # TFLite's int16 never takes -32768, so that zero stays in the middle.
        return tf.quantization.fake_quant_with_min_max_vars(x, low, high, bits, narrow_range=bits == 16)
    return composed_round_to_range(x, low, high, steps_of(bits))


def steps_of(bits: int) -> int:
    """How many steps a range of activations has."""
    return 2**bits - 2 if bits == 16 else LEVELS


def break_ties(x: Any, low: Any, high: Any, bits: int = 8) -> Any:
    """Move averages of int8 values a little away from int8's zero.

    A fourth of 2×2 averages lies halfway between two points. TFLite rounds those away from int8's zero,
    which is point 128 of the range; `round_to_range` rounds up.
    """
    if bits == 16:
        return x
    scale = (high - low) / LEVELS
    below = ops.cast(x < low + 128 * scale, x.dtype)
    return x - below * (_TIE * scale)


def composed_round_to_range(x: Any, low: Any, high: Any, steps: int = LEVELS) -> Any:
    """`round_to_range` from `keras.ops` alone."""
    low, high = ops.stop_gradient(low), ops.stop_gradient(high)
    scale = (high - low) / steps
    clipped = ops.clip(x, low, high)
    rounded = ops.floor((clipped - low) / scale + 0.5) * scale + low
    return clipped + ops.stop_gradient(rounded - clipped)


def round_tensor(weight: Any) -> Any:
    """Round a weight that is added or multiplied: one asymmetric range over all of it."""
    if current_mode() in ("observe", "bypass"):
        return ops.convert_to_tensor(weight)
    if current_mode() == "export":
        values = to_numpy(weight)
        low, high = nudge(np.float32(values.min()), np.float32(values.max()), np)
        return round_to_range(constant(values), float(low), float(high))
    weight = ops.convert_to_tensor(weight)
    low, high = nudge(ops.stop_gradient(ops.min(weight)), ops.stop_gradient(ops.max(weight)))
    return round_to_range(weight, low, high)


def to_numpy(variable: Any) -> np.ndarray:
    """The value of a variable, also while a TensorFlow function is being traced."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.init_scope():
            return np.asarray(ops.convert_to_numpy(variable))
    return np.asarray(ops.convert_to_numpy(variable))


def constant(values: np.ndarray) -> Any:
    """`values` as a float32 constant of the graph being traced."""
    return ops.convert_to_tensor(values.astype("float32"))


@keras.saving.register_keras_serializable("imgrec")
class ActivationRange(Configured):
    """Measures the range of a tensor, follows it while training, and rounds the tensor in it.

    While training the range is a moving average of each batch's smallest and largest value, where the
    observer follows; in evaluation it is frozen, and the layer computes what the file computes. An end
    given as `low` or `high` is fixed: zero after ReLU, the output of a sigmoid, the pixels.

    Args:
        low: fixed lower end, or None to learn it.
        high: fixed upper end, or None to learn it.
        momentum: of the moving average; None: the observer's.
        members: how many tensors share the range, which then holds all of theirs.
        observer: how calibration images give the range, by a name in `OBSERVERS`.
        bits: of the rounded values, 8 or 16.

    Input and output: float32, any shape. Weights: `minimum` and `maximum`, float32, scalars or one value
    for each of several members, not trained by gradients.
    """

    def __init__(
        self,
        low: float | None = None,
        high: float | None = None,
        momentum: float | None = None,
        members: int = 1,
        observer: str = "mean",
        bits: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.low, self.high, self.momentum, self.members = low, high, momentum, members
        self.observer, self.bits, self._observer = observer, bits, read_observer(observer)
        self._follows = self._observer.follows if momentum is None else momentum
        self._batches = [0] * members

    def build(self, input_shape: Any) -> None:
        """Create the two ends of the range."""
        self.minimum = self._end("minimum", self.low)
        self.maximum = self._end("maximum", self.high)

    @property
    def is_set(self) -> bool:
        """Whether the range has an extent; one that was measured may have none, where all was zero."""
        low, high = self.ends()
        return bool(high > low)

    def ends(self) -> tuple[np.float32, np.float32]:
        """The range as it stands, before `nudge`."""
        return to_numpy(self.minimum).min(), to_numpy(self.maximum).max()

    def step_size(self) -> Any:
        """The distance of its points, float32 scalar, without a gradient."""
        low, high = nudge(ops.min(self.minimum), ops.max(self.maximum), bits=self.bits)
        return ops.stop_gradient((high - low) / steps_of(self.bits))

    def _end(self, name: str, fixed: float | None) -> Any:
        start = keras.initializers.Constant(0.0 if fixed is None else fixed)
        shape = (self.members,) if self.members > 1 else ()
        return self.add_weight(shape, initializer=start, trainable=False, name=name, aggregation="mean")

    def call(
        self, x: Any, training: bool | None = None, averaged: bool = False, member: int | None = None
    ) -> Any:
        """Round `x`.

        `averaged` is for what average pooling or concatenation makes of tensors already in this range,
        `member` the number of a tensor that will be concatenated: in a file only the whole is marked as
        rounded, because the converter refuses a tensor that is rounded in two ranges.
        """
        if current_mode() == "bypass":
            return x
        if current_mode() == "observe":
            if not averaged:
                self._observe(x, member or 0)
            return x
        if current_mode() == "export":
            low, high = nudge(*self.ends(), np, self.bits)
            return round_to_range(x, float(low), float(high), self.bits) if member is None else x
        if training and not averaged and self._follows is not None:
            self._follow(x, member or 0, self._follows)
        low, high = nudge(ops.min(self.minimum), ops.max(self.maximum), bits=self.bits)
        return round_to_range(break_ties(x, low, high, self.bits) if averaged else x, low, high, self.bits)

    def _observe(self, x: Any, member: int) -> None:
        batches = self._batches[member]
        low, high = self._observer.ends(np.asarray(ops.convert_to_numpy(x)))
        for end, fixed, seen in (
            (self.minimum, self.low, min(low, 0.0)),
            (self.maximum, self.high, max(high, 0.0)),
        ):
            if fixed is None:
                before = float(to_numpy(end).reshape(-1)[member])
                self._assign(end, np.float32(self._observer.merge(before, seen, batches)), member)
        self._batches[member] += 1

    def _follow(self, x: Any, member: int, momentum: float) -> None:
        unset = ops.equal(self.maximum, self.minimum)  # never calibrated: start at the first batch
        lowest, highest = ops.stop_gradient(ops.min(x)), ops.stop_gradient(ops.max(x))
        seen = (
            (self.minimum, self.low, ops.minimum(lowest, 0.0)),
            (self.maximum, self.high, ops.maximum(highest, 0.0)),
        )
        for end, fixed, value in seen:
            if fixed is None:
                moved = end * momentum + value * (1.0 - momentum)
                self._assign(end, ops.where(unset, value, moved), member)

    def _assign(self, end: Any, value: Any, member: int) -> None:
        own = np.arange(self.members) == member
        end.assign(ops.where(own, value, end) if self.members > 1 else value)
