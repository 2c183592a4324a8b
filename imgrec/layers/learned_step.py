"""The range of a tensor with a step size that learns by gradients: LSQ.

Source: Esser et al., "Learned Step Size Quantization", 2020 (arXiv 1902.08153). The paper's activations are
either positive (after ReLU) or symmetric; here zero stands on whichever of the 256 points calibration puts
it, which is the first of them after ReLU.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.layers.fake_quant import (
    LEVELS,
    ActivationRange,
    break_ties,
    current_mode,
    nudge,
    round_to_range,
    to_numpy,
)
from imgrec.layers.rounded_kernel import round_by_step


@keras.saving.register_keras_serializable("imgrec")
class LearnedStep(ActivationRange):
    """Rounds a tensor to int8 by a step that is trained with the weights; zero stays where it was measured.

    `settle` ends the calibration: the step begins at `2 · mean|x| / √Q`, Q the larger number of points on a
    side of zero, and its gradient is scaled by `1 / √(values of an image · Q)`.

    Weights beside the range measured: `step` (trained), `zero` (the point that zero falls on) and `magnitude`
    (mean |x|, a value for each member).
    """

    def build(self, input_shape: Any) -> None:
        """Create the ends, the step and what it begins with."""
        super().build(input_shape)
        # Without calibration nothing is right: not-a-number in the first loss says so.
        start = keras.initializers.Constant(math.nan)
        self.step = self.add_weight((), initializer=start, name="step")
        self.zero = self.add_weight((), initializer="zeros", trainable=False, name="zero")
        shape = (self.members,) if self.members > 1 else ()
        self.magnitude = self.add_weight(shape, initializer="zeros", trainable=False, name="magnitude")

    @property
    def is_set(self) -> bool:
        """Whether it was calibrated, or its weights were loaded."""
        return bool(np.isfinite(to_numpy(self.step)))

    def ends(self) -> tuple[np.float32, np.float32]:
        """The range as it stands, on its points already."""
        step, zero = self._positive(to_numpy(self.step), np), to_numpy(self.zero)
        return np.float32(-zero * step), np.float32((LEVELS - zero) * step)

    def step_size(self) -> Any:
        """The distance of its points, float32 scalar, without a gradient."""
        return ops.stop_gradient(self._positive(self.step, ops))

    def settle(self) -> None:
        """Begin learning with what was measured."""
        low, high = nudge(to_numpy(self.minimum).min(), to_numpy(self.maximum).max(), np)
        widest = (high - low) / LEVELS
        zero = round(float(-low / widest))
        first = 2 * float(to_numpy(self.magnitude).mean()) / math.sqrt(max(zero, LEVELS - zero))
        self.zero.assign(zero)
        self.step.assign(first if first > 0 else widest)

    def call(
        self, x: Any, training: bool | None = None, averaged: bool = False, member: int | None = None
    ) -> Any:
        """Round `x`; as `ActivationRange`."""
        if current_mode() != "quantise":
            return super().call(x, training, averaged, member)
        step = self._positive(self.step, ops)
        if not training or averaged:
            low, high = ops.stop_gradient(-self.zero * step), ops.stop_gradient((LEVELS - self.zero) * step)
            return round_to_range(break_ties(x, low, high) if averaged else x, low, high)
        most = ops.maximum(self.zero, LEVELS - self.zero)
        scale = ops.rsqrt(most * float(math.prod(x.shape[1:])))
        return round_by_step(x, step, -self.zero, LEVELS - self.zero, scale)

    def _observe(self, x: Any, member: int) -> None:
        batches = self._batches[member]
        before = float(to_numpy(self.magnitude).reshape(-1)[member])
        seen = float(np.abs(ops.convert_to_numpy(x)).mean())
        super()._observe(x, member)
        self._assign(self.magnitude, np.float32((before * batches + seen) / (batches + 1)), member)

    @staticmethod
    def _positive(step: Any, np_like: Any) -> Any:
        return np_like.maximum(step, np.float32(1e-8))
