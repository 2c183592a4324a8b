"""An ONNX graph of a quantisation-aware model, made int8: weights and biases as integers, no float between.

tf2onnx turns every learned range into a pair QuantizeLinear, DequantizeLinear of uint8. What is left to do:
kernels, which are rounded but float, become int8 with a scale for each channel, biases int32, as the
quantisation of ONNX Runtime and TensorRT asks (Wu et al., 2020, arXiv 2004.09602); pixels are taken as the
uint8 that they are; and inputs of a concatenation are rounded as their whole is.
"""

from typing import Any

import numpy as np

from imgrec.layers.fake_quant import WEIGHT_LEVELS

MOVERS = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "MaxPool"})
PICKERS = frozenset({"Slice", "Split", "Gather", "Pad", "ReduceMax", "GlobalMaxPool", "Identity"})
"""Operators whose output keeps the range of their first input; ONNX Runtime sees through the former."""
_LARGEST = 2.0**30  # of an int32 bias, with room for the sum
_NOTHING = 1e-12  # largest weight of a channel that is zero
_OFF = 2e-3  # of a step, by which float32 may miss it
_BLOCK = 16


class _Graph:
    """Nodes, and who makes and reads a value; written back as a whole by `close`."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.nodes = list(graph.node)
        self.values = {each.name: each for each in graph.initializer}
        self.makers = {output: node for node in self.nodes for output in node.output}
        self.before: dict[int, list[Any]] = {}  # by a node's id, what goes in front of it
        self.counted = 0
        self.read_by: dict[str, list[Any]] = {}
        for node in self.nodes:
            for value in node.input:
                self.read_by.setdefault(value, []).append(node)

    def array(self, name: str) -> np.ndarray | None:
        """The values of an initializer; None of anything else."""
        from onnx import numpy_helper

        return numpy_helper.to_array(self.values[name]) if name in self.values else None

    def constant(self, stem: str, values: np.ndarray) -> str:
        """Add an initializer and return its name."""
        from onnx import numpy_helper

        self.counted += 1
        name = f"{stem}_{self.counted}"
        self.values[name] = numpy_helper.from_array(values, name)
        return name

    def insert(self, before: Any, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Put a node in front of `before` and return its output's name."""
        from onnx import helper

        self.counted += 1
        output = f"{before.name}_{kind}_{self.counted}"
        node = helper.make_node(kind, inputs, [output], name=output, **attributes)
        self.before.setdefault(id(before), []).append(node)
        self.makers[output] = node
        return output

    def close(self) -> None:
        """Write nodes and initializers back, without those that nothing reads."""
        whole = [each for node in self.nodes for each in (*self.before.get(id(node), ()), node)]
        read, kept = {each.name for each in self.graph.output}, []
        for node in reversed(whole):
            if not read.isdisjoint(node.output):
                kept.append(node)
                read.update(node.input)
        values = [each for each in self.values.values() if each.name in read]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(reversed(kept))
        self.graph.initializer.extend(values)


def quantize(made: Any) -> None:
    """Make the ONNX model `made`, whose activations have their pairs, int8 in place.

    A convolution or product whose input has no range is left in float.
    """
    graph = _Graph(made.graph)
    _pixels_as_they_are(graph)
    for node in graph.nodes:
        if node.op_type == "Add":
            _one_product(graph, node)
    for node in graph.nodes:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            _weights(graph, node)
        elif node.op_type == "Concat":
            _concatenated(graph, node)
    graph.close()


def _pixels_as_they_are(graph: _Graph) -> None:
    """Let the first DequantizeLinear read the image's own bytes, not what Cast and QuantizeLinear make."""
    image = graph.graph.input[0].name
    for cast in graph.read_by[image]:
        for rounding in graph.read_by[cast.output[0]] if cast.op_type == "Cast" else ():
            if rounding.op_type != "QuantizeLinear":
                continue
            scale, zero = (graph.array(name) for name in rounding.input[1:3])
            if scale == 1 and zero == 0:
                for node in graph.read_by[rounding.output[0]]:
                    node.input[0] = image


def _one_product(graph: _Graph, node: Any) -> None:
    """Turn `x · W + b` into one Gemm, whose bias can be int32; dense layers see matrices only."""
    for product, bias in (node.input, reversed(node.input)):
        maker, values = graph.makers.get(product), graph.array(bias)
        if maker is None or maker.op_type != "MatMul" or values is None or values.ndim != 1:
            continue
        weights = graph.array(maker.input[1])
        if weights is None or weights.shape[1:] != values.shape or len(graph.read_by[product]) != 1:
            continue
        node.op_type = "Gemm"
        node.input[0], node.input[1] = maker.input[:2]
        node.input.append(bias)
        maker.output[0] += "_unread"
        return


def _weights(graph: _Graph, node: Any) -> None:
    """Give a convolution or product int8 weights and an int32 bias, where its input has a range.

    One whose weights lie on no steps was left in float by the model, and stays so.
    """
    weights, scale = graph.array(node.input[1]), _scale_of(graph, node.input[0])
    if weights is None or scale is None or weights.dtype != np.float32:
        return
    axis = 0 if node.op_type == "Conv" else weights.ndim - 1
    flat = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    scales = steps_of(flat)
    if scales is None:
        return
    _round_picked(graph, node)
    bias = graph.array(node.input[2]) if len(node.input) > 2 else None
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (scale * _LARGEST)).astype(np.float32)
    shape = [-1 if each == axis else 1 for each in range(weights.ndim)]
    levels = np.rint(weights / scales.reshape(shape)).astype(np.int8)
    node.input[1] = _dequantized(graph, node, levels, scales, axis)
    if bias is not None:
        whole = np.rint(bias.astype(np.float64) / (scales.astype(np.float64) * scale)).astype(np.int32)
        node.input[2] = _dequantized(graph, node, whole, scales * np.float32(scale), 0)


def steps_of(channels: np.ndarray) -> np.ndarray | None:
    """Return each channel's step, the finest of which its weights are whole multiples up to 127.

    A kernel that was rounded by its largest weight has that as the 127th step; one whose step was learned,
    or of four bits, has it nearer to zero.

    Args:
        channels: float32 `[C, n]`.

    Returns:
        float32 `[C]`, or None where a channel has no such step: it was never rounded.
    """
    steps = np.empty(len(channels), np.float32)
    for start in range(0, len(channels), _BLOCK):
        block = channels[start : start + _BLOCK]
        largest = np.abs(block).max(axis=1, keepdims=True)
        largest[largest < _NOTHING] = 1.0
        left = np.arange(len(block))
        for level in range(WEIGHT_LEVELS, 0, -1):
            position = block[left] / (largest[left] / np.float32(level))
            fits = np.abs(position - np.rint(position)).max(axis=1) < _OFF
            steps[start + left[fits]] = largest[left[fits], 0] / np.float32(level)
            left = left[~fits]
            if not len(left):
                break
        else:
            return None
    return steps


def _dequantized(graph: _Graph, node: Any, levels: np.ndarray, scales: np.ndarray, axis: int) -> str:
    """Add integers and their scales, and return what gives their values."""
    parts = {"levels": levels, "scales": scales, "zeros": np.zeros(scales.shape, levels.dtype)}
    names = [graph.constant(f"{node.name}_{kind}", each) for kind, each in parts.items()]
    return graph.insert(node, "DequantizeLinear", names, axis=axis)


def _scale_of(graph: _Graph, value: str) -> float | None:
    """The scale of the range that `value` lies in, through what only moves values; None of a float one."""
    maker = _source(graph, value, MOVERS | PICKERS)
    if maker is None or maker.op_type != "DequantizeLinear":
        return None
    scale = graph.array(maker.input[1])
    return None if scale is None or scale.size != 1 else float(scale)


def _source(graph: _Graph, value: str, through: frozenset[str]) -> Any:
    """The node that `value` comes from, seen through others; None of an input or constant."""
    maker = graph.makers.get(value)
    while maker is not None and maker.op_type in through:
        maker = graph.makers.get(maker.input[0])
    return maker


def _round_picked(graph: _Graph, node: Any) -> None:
    """Round once more what was picked from rounded values: it changes nothing, and the kernel is found."""
    if _source(graph, node.input[0], MOVERS).op_type != "DequantizeLinear":
        scale, zero = _source(graph, node.input[0], MOVERS | PICKERS).input[1:3]
        levels = graph.insert(node, "QuantizeLinear", [node.input[0], scale, zero])
        node.input[0] = graph.insert(node, "DequantizeLinear", [levels, scale, zero])


def _concatenated(graph: _Graph, node: Any) -> None:
    """Round the inputs of a concatenation in the range of its output, where they bring no range."""
    readers = graph.read_by.get(node.output[0], [])
    if len(readers) != 1 or readers[0].op_type != "QuantizeLinear":
        return
    scale, zero = readers[0].input[1:3]
    for place, value in enumerate(node.input):
        if _scale_of(graph, value) is None:
            levels = graph.insert(node, "QuantizeLinear", [value, scale, zero])
            node.input[place] = graph.insert(node, "DequantizeLinear", [levels, scale, zero])
