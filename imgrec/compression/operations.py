"""What quantisation tells apart: the few kinds of operation that a graph's steps become."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import keras

from imgrec.compression.graph import Step

Value: TypeAlias = keras.KerasTensor


@dataclass(eq=False)
class Op:
    """One operation on values of the source graph.

    Kinds and their options:

    - `conv`, `depthwise`, `dense`: `config` of the layer, `kernel`, `bias` (arrays)
    - `affine`: `scale`, `offset` (arrays, one value per channel); `pixels` true for the input's
    - `relu`: `ceiling` (None or a number), `top` where the range shall end there whatever is measured
    - `curve`: an activation, `function` by name and `slope`
    - `add`, `multiply`: two or more values; `add_weight`, `multiply_weight`: `weight` (array);
      `add_constant`, `multiply_constant`: `value`, and `range` where it is known
    - `mean`, `concat`, `matmul`: arithmetic that gets a range of its own; `zeros`: zeros of a shape
    - `same`: moves or picks values, so its output keeps its input's range; `average_pool`: likewise
    - `layer_norm`: `config`, `weights`; computed in float32
    - `float`: a step that is computed in float32 and learns nothing
    - `identity`: nothing at all
    """

    kind: str
    name: str
    inputs: list[Value]
    outputs: list[Value]
    step: Step | None = None
    options: dict[str, Any] = field(default_factory=dict)


class Uncovered(Exception):
    """A step that quantisation does not cover; the text says why."""


def between(output: Value) -> Value:
    """A new value of the shape of `output`, between two operations that one step becomes."""
    return keras.KerasTensor(output.shape, dtype="float32")
