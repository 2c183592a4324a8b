"""What a TFLite file computes, and what that takes."""

import math
from dataclasses import dataclass
from pathlib import Path

from imgrec.export.inspect import WEIGHTED, Operator, describe

PICOJOULES = {"int8": 0.3, "float16": 1.5, "float32": 4.6}
"""Of a multiplication and an addition in a 45 nm processor, without memory: Horowitz, "Computing's energy
problem (and what we can do about it)", ISSCC 2014, figure 1.1.9 (int8: product .2, sum of 32 bits .1)."""


@dataclass(frozen=True)
class Work:
    """What a file computes for one image.

    macs: multiply-accumulates of convolutions, dense layers and matrix products.
    microjoules: what their arithmetic alone takes by `PICOJOULES`, to compare files by.
    """

    macs: int
    microjoules: float


def work(path: str | Path) -> Work:
    """Return the work of a TFLite file; needs no TensorFlow."""
    macs, picojoules = 0, 0.0
    for operator in describe(path):
        own = _macs(operator)
        rounded = all(tensor.dtype in ("int8", "int4", "int16") for tensor in operator.inputs[:2])
        hybrid = len(operator.inputs) > 1 and operator.inputs[1].dtype in ("int8", "int4")
        macs += own
        picojoules += own * PICOJOULES["int8" if rounded or hybrid else "float32"]
    return Work(macs, picojoules / 1e6)


def _macs(operator: Operator) -> int:
    """Return an operator's multiply-accumulates, counted as `compression.cost` counts those of the model."""
    if operator.name not in WEIGHTED or len(operator.inputs) < 2:
        return 0
    given, kernel = math.prod(operator.outputs[0].shape), operator.inputs[1].shape
    if operator.name == "CONV_2D":
        return given * math.prod(kernel[1:])
    if operator.name == "DEPTHWISE_CONV_2D":
        return given * kernel[1] * kernel[2]
    if operator.name == "TRANSPOSE_CONV":
        return math.prod(operator.inputs[2].shape) * kernel[0] * kernel[1] * kernel[2]
    return given * operator.inputs[0].shape[-1]
