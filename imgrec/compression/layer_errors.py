"""What rounding does to each layer of a quantised model: its own error, and what has piled up behind it.

The quantised model computes both sides: rounding in `quantise`, the float model in `bypass`. A layer's own
error is that of its rounded weights and inputs where these come from the float model; so it tells which
layers to leave in float32, whereas the error piled up tells where a model goes astray.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from imgrec.compression.graph import Graph, Step, expand
from imgrec.layers.fake_quant import ActivationRange, mode
from imgrec.layers.quantized import QuantizedConv2D, QuantizedDense, QuantizedDepthwiseConv2D

WEIGHTED = (QuantizedConv2D, QuantizedDepthwiseConv2D, QuantizedDense)
MOVES = frozenset(
    [
        *("Amax", "Max", "GlobalMaxPooling2D", "MaxPooling2D", "GetItem", "Split", "Pad", "ZeroPadding2D"),
        *("ExpandDims", "Flatten", "Permute", "Reshape", "Squeeze", "Swapaxes", "Transpose"),
        *("Dropout", "SpatialDropout2D"),
    ]
)
"""What moves or picks values, so that rounded ones stay rounded."""
IMAGES, BATCH = 16, 8
"""Images that errors are measured on, and how many of them at a time."""
SILENCE = 1e-12  # power of an error or of a signal that is none: no logarithm of zero
CLEAN = 100.0  # dB, of a layer without any error


@dataclass(frozen=True)
class LayerError:
    """One layer, over all images.

    name: of the layer, as in the float model.
    computes: whether it is a convolution, a dense layer or a matrix product, which may stay float32.
    sources: those of them that made what it reads.
    own_db: signal to its own quantisation noise (SQNR), in dB: 20 is an error of a tenth.
    db: the same with all errors of the layers before it.
    max_abs: largest distance from the float model's activations.
    mean_abs: mean distance from them.
    """

    name: str
    computes: bool
    sources: tuple[str, ...]
    own_db: float
    db: float
    max_abs: float
    mean_abs: float


def layer_errors(quantized: keras.Model, images: np.ndarray) -> list[LayerError]:
    """Return the errors of every layer that reads rounded values, in the order of computation.

    Args:
        quantized: from `qat.prepare`, calibrated.
        images: uint8 or float32 `[N, H, W, C]` in 0…255, N ≥ 1; `IMAGES` of them are taken.
    """
    graph = expand(quantized)
    sums: dict[str, _Sums] = {}
    sources = _sources(graph)
    taken = images[:: max(1, len(images) // IMAGES)][:IMAGES]
    for start in range(0, len(taken), BATCH):
        batch = keras.ops.convert_to_tensor(np.asarray(taken[start : start + BATCH], "float32"))
        for step, values in _walk(graph, batch):
            if step.name not in sums:
                sums[step.name] = _Sums(_computes(step), sources[step.name])
            sums[step.name].add(*values)
    return [part.error(name) for name, part in sums.items()]


def worst(errors: list[LayerError], count: int) -> list[LayerError]:
    """Return the `count` layers of the largest errors of their own, the worst first."""
    return sorted(errors, key=lambda error: error.own_db)[:count]


class _Sums:
    """Powers and distances of one layer, batch by batch."""

    def __init__(self, computes: bool, sources: tuple[str, ...]) -> None:
        self.computes, self.sources = computes, sources
        self.signal = self.own = self.piled = self.distance = self.largest = 0.0
        self.count = 0

    def add(self, exact: np.ndarray, own: np.ndarray, rounded: np.ndarray) -> None:
        away = np.abs(rounded - exact)
        self.signal += float(np.square(exact).sum())
        self.own += float(np.square(own - exact).sum())
        self.piled += float(np.square(away).sum())
        self.distance += float(away.sum())
        self.largest = max(self.largest, float(away.max()))
        self.count += exact.size

    def error(self, name: str) -> LayerError:
        own, piled = (_decibel(self.signal, noise) for noise in (self.own, self.piled))
        return LayerError(
            name, self.computes, self.sources, own, piled, self.largest, self.distance / self.count
        )


def _decibel(signal: float, noise: float) -> float:
    if noise <= SILENCE:
        return CLEAN
    return min(CLEAN, 10 * float(np.log10(max(signal, SILENCE) / noise)))


def _computes(step: Step) -> bool:
    return isinstance(step.operation, WEIGHTED) or type(step.operation).__name__ == "Matmul"


def _walk(graph: Graph, batch: Any) -> Iterator[tuple[Step, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Give the activations of each layer that is measured: exact, with its own error, with all errors."""
    exact, rounded = {id(graph.input): batch}, {id(graph.input): batch}
    readers = _readers(graph)
    ranges: dict[int, Step] = {}  # value → what rounded it
    for step in graph.steps:
        if isinstance(step.operation, ActivationRange):
            ranges[id(step.outputs[0])] = step
        moves = _moves(step, ranges)
        if moves:
            ranges.update(dict.fromkeys(map(id, step.outputs), ranges[id(step.inputs[0])]))
        with mode("bypass"):
            outputs = _call(step, exact)
        with mode("quantise"):
            after = _call(step, rounded)
            own = None if moves else _alone(step, exact, ranges)
        if own is not None:
            values = (keras.ops.convert_to_numpy(value[0]) for value in (outputs, own, after))
            first, second, third = (np.asarray(value, "float64") for value in values)
            yield step, (first, second, third)
        for value, left, right in zip(step.outputs, outputs, after, strict=True):
            exact[id(value)], rounded[id(value)] = left, right
        for value in step.inputs:
            readers[id(value)] -= 1
            if not readers[id(value)]:  # an image of 224 px has 100 MB of activations
                exact.pop(id(value), None), rounded.pop(id(value), None)


def _moves(step: Step, ranges: dict[int, Step]) -> bool:
    """Whether a step moves or picks rounded values: alone, or joining what was rounded by one range."""
    kind, before = type(step.operation).__name__, [ranges.get(id(value)) for value in step.inputs]
    if kind == "Concatenate":
        return before[0] is not None and all(
            each is not None and each.operation is before[0].operation for each in before
        )
    return kind in MOVES and before[0] is not None


def _sources(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return for each step the computing ones whose values reach it through others that do not compute."""
    made: dict[int, tuple[str, ...]] = {}
    found = {}
    for step in graph.steps:
        before = dict.fromkeys(name for value in step.inputs for name in made.get(id(value), ()))
        found[step.name] = tuple(before)
        own = (step.name,) if _computes(step) else found[step.name]
        made.update(dict.fromkeys(map(id, step.outputs), own))
    return found


def _readers(graph: Graph) -> dict[int, int]:
    counted: dict[int, int] = {}
    for step in graph.steps:
        for value in step.inputs:
            counted[id(value)] = counted.get(id(value), 0) + 1
    return counted


def _call(step: Step, values: dict[int, Any]) -> list[Any]:
    args, kwargs = keras.tree.map_structure(
        lambda v: values[id(v)] if isinstance(v, keras.KerasTensor) else v, (step.args, step.kwargs)
    )
    if isinstance(step.operation, keras.Layer) and "training" in kwargs:
        kwargs["training"] = False
    return list(keras.tree.flatten(step.operation(*args, **kwargs)))


def _alone(step: Step, exact: dict[int, Any], ranges: dict[int, Step]) -> list[Any] | None:
    """Compute a step of rounded values that are otherwise exact; None where it computes with none."""
    if isinstance(step.operation, ActivationRange) or not step.inputs:
        return None
    if not all(id(value) in ranges for value in step.inputs):
        return None
    own = dict(exact)
    for value in step.inputs:
        own[id(value)] = _call_range(ranges[id(value)], exact[id(value)])
    return _call(step, own)


def _call_range(step: Step, value: Any) -> Any:
    kwargs = {key: each for key, each in step.kwargs.items() if key != "training"}
    return step.operation(value, *step.args[1:], **kwargs)
