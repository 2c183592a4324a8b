"""Kernels of a converted int8 file: those with steps of their own put in, those left float32 found.

The converter gives every output channel the scale of its largest weight over 127. A kernel of 4 bits, or one
whose step was learned, has another, and the converter takes none from outside for a dense layer; so the
levels and scales of the model replace the converter's, and the biases follow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from imgrec.export.graph_edit import pack
from imgrec.layers.fake_quant import to_numpy
from imgrec.layers.quantized import FloatMatmul, QuantizedConv2D, QuantizedDense, QuantizedDepthwiseConv2D
from imgrec.layers.rounded_kernel import FLOAT, RoundsKernel

_KINDS: dict[int, type[RoundsKernel]] = {
    schema.BuiltinOperator.CONV_2D: QuantizedConv2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: QuantizedDepthwiseConv2D,
    schema.BuiltinOperator.FULLY_CONNECTED: QuantizedDense,
}
_BIAS_ROOM = 2**30  # int32, with as much room again for the sum


@dataclass(frozen=True)
class _Call:
    """An operator with a kernel, as it stands in the file."""

    number: int
    kind: type[RoundsKernel]
    operator: Any
    tensors: Any

    @property
    def kernel(self) -> Any:
        return self.tensors[self.operator.inputs[1]]

    @property
    def bias(self) -> Any | None:
        inputs = self.operator.inputs
        return self.tensors[inputs[2]] if len(inputs) > 2 and inputs[2] >= 0 else None


class KernelError(RuntimeError):
    """A kernel of the model is not in its file, or in it otherwise than it should be."""


def set_kernels(content: bytes, layers: Sequence[Any]) -> bytes:
    """Return the file with the levels and scales of the layers that have their own.

    Args:
        content: a TFLite file, of a model in the export mode.
        layers: of that model.

    Raises:
        KernelError: a layer's kernel is in no operator of the file.
    """
    own = [la for la in layers if isinstance(la, RoundsKernel) and (la.learned or la.bits == 4)]
    if not own:
        return content
    model = schema.ModelT.InitFromPackedBuf(content)
    found: set[int] = set()
    values = {id(la): _values(la) for la in own}
    for call in list(_calls(model)):
        if call.kernel.type != schema.TensorType.INT8:
            continue
        alike = (la for la in own if type(la) is call.kind)
        layer = next((la for la in alike if _holds(model, call, la, values[id(la)])), None)
        if layer is not None:
            found.add(id(layer))
            _replace(model, call, layer)
    if missing := [la.name for la in own if id(la) not in found]:
        raise KernelError(f"not found in the file: the kernels of {', '.join(missing)}")
    _drop_unused(model)
    return pack(model)


def widen_biases(content: bytes) -> bytes:
    """Return the file with the biases of operators on int16 in int64, as the runtime wants them.

    The converter gives them int32 where the ranges are those of a training.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    for call in list(_calls(model)):
        source, bias = call.tensors[call.operator.inputs[0]], call.bias
        if (
            bias is not None
            and source.type == schema.TensorType.INT16
            and bias.type == schema.TensorType.INT32
        ):
            kept = _data(model, bias, np.int32)
            if kept is None:
                raise KernelError(f"the bias of operator {call.number} is no constant")
            bias.type = schema.TensorType.INT64
            _put(model, bias, kept.astype(np.int64).ravel().view(np.uint8))
    _drop_unused(model)
    return pack(model)


def float_calls(content: bytes, layers: Sequence[Any]) -> frozenset[int]:
    """Return the numbers of the operators that the model leaves float32, all of them and no others.

    Args:
        content: a TFLite file, of a model in the export mode.
        layers: of that model.

    Raises:
        KernelError: the converter made one of them int8, so that it is in the file in float32 no more.
    """
    kept = [la for la in layers if isinstance(la, RoundsKernel) and la.bits == FLOAT]
    products = [la for la in layers if isinstance(la, FloatMatmul)]
    if not kept and not products:
        return frozenset()
    model = schema.ModelT.InitFromPackedBuf(content)
    numbers, found = set(), set()
    for call in _calls(model):
        if call.kernel.type != schema.TensorType.FLOAT32:
            continue
        data = _data(model, call.kernel, np.float32)
        if data is None:
            continue
        for layer in (la for la in kept if type(la) is call.kind):
            if _same_direction(data, _laid_out(layer, to_numpy(layer.weight_kernel))):
                numbers.add(call.number)
                found.add(id(layer))
    if missing := [la.name for la in kept if id(la) not in found]:
        raise KernelError(f"to stay float32, and not so in the file: {', '.join(missing)}")
    matmul = schema.BuiltinOperator.BATCH_MATMUL
    floats = [
        number
        for number, operator in enumerate(model.subgraphs[0].operators)
        if _code(model, operator) == matmul
        and model.subgraphs[0].tensors[operator.inputs[0]].type == schema.TensorType.FLOAT32
    ]
    if len(floats) != len(products):
        raise KernelError(f"{len(products)} products are to stay float32, and {len(floats)} of the file are")
    return frozenset(numbers) | frozenset(floats)


def _code(model: schema.ModelT, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _calls(model: schema.ModelT) -> Iterator[_Call]:
    graph = model.subgraphs[0]
    for number, operator in enumerate(graph.operators):
        if kind := _KINDS.get(_code(model, operator)):
            yield _Call(number, kind, operator, graph.tensors)


def _data(model: schema.ModelT, tensor: Any, dtype: Any) -> np.ndarray | None:
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype).reshape(tensor.shape)


def _laid_out(layer: RoundsKernel, kernel: np.ndarray) -> np.ndarray:
    """A kernel, or its steps, as TFLite keeps it: output channels first, or last where depthwise."""
    if isinstance(layer, QuantizedConv2D):
        return kernel.transpose(3, 0, 1, 2)
    if isinstance(layer, QuantizedDepthwiseConv2D):
        return kernel.reshape(1, *kernel.shape[:2], -1)
    return kernel.T


def _by_channel(layer: RoundsKernel, values: np.ndarray) -> np.ndarray:
    """One value a channel, shaped to be multiplied with a kernel that is laid out."""
    if isinstance(layer, QuantizedDepthwiseConv2D):
        return values.reshape(-1)
    return values.reshape(-1, *[1] * len(layer.AXES))


def _values(layer: RoundsKernel) -> np.ndarray:
    """A layer's rounded kernel as TFLite lays it out, float32."""
    levels, steps = layer.levels()
    return _laid_out(layer, levels * steps)


def _holds(model: schema.ModelT, call: _Call, layer: RoundsKernel, values: np.ndarray) -> bool:
    """Whether the operator's kernel is the layer's, but for the converter's rounding, and its bias too."""
    data = _data(model, call.kernel, np.int8)
    if data is None or data.shape != values.shape:
        return False
    scale = _by_channel(layer, np.asarray(call.kernel.quantization.scale, np.float32))
    near = np.abs(data * scale - values) <= 0.51 * scale + 1e-7
    return bool(near.all()) and _bias_fits(model, call, to_numpy(layer.bias))


def _bias_fits(model: schema.ModelT, call: _Call, bias: np.ndarray) -> bool:
    if call.bias is None:
        return not bias.any()
    kept = _data(model, call.bias, np.int32)
    if kept is None:
        return False
    scale = np.asarray(call.bias.quantization.scale, np.float64)
    return bool((np.abs(kept * scale - bias) <= 0.51 * scale + 1e-6 * np.abs(bias)).all())


def _replace(model: schema.ModelT, call: _Call, layer: RoundsKernel) -> None:
    """Put the layer's levels and scales in the place of the converter's, and the bias in their steps."""
    levels, steps = layer.levels()
    before = np.asarray(call.kernel.quantization.scale, np.float32)
    source = float(call.tensors[call.operator.inputs[0]].quantization.scale[0])
    bias, scale = to_numpy(layer.bias), steps.reshape(-1).copy()
    empty = ~np.any(levels != 0, axis=layer.AXES).reshape(-1)
    scale[empty] = before[empty]  # any scale is right, and the converter's has room for the bias
    scale = np.maximum(scale, np.abs(bias) / source / _BIAS_ROOM).astype(np.float32)
    laid = _laid_out(layer, levels.astype(np.float32) * steps) / _by_channel(layer, scale)
    whole = np.round(laid).astype(np.int8)
    call.kernel.quantization.scale = scale
    if layer.bits == 4:
        call.kernel.type = schema.TensorType.INT4
    _put(model, call.kernel, packed(whole) if layer.bits == 4 else whole.view(np.uint8).ravel())
    if call.bias is not None:
        steps_of_bias = scale.astype(np.float64) * source
        call.bias.quantization.scale = steps_of_bias.astype(np.float32)
        _put(model, call.bias, np.round(bias / steps_of_bias).astype(np.int32).view(np.uint8))


def packed(levels: np.ndarray) -> np.ndarray:
    """Return levels of 4 bits two to a byte, uint8, the first in the lower half; int8 of any shape in."""
    flat = levels.ravel()
    flat = np.append(flat, np.zeros(flat.size % 2, np.int8)).astype(np.uint8) & 15
    return (flat[::2] | (flat[1::2] << 4)).astype(np.uint8)


def _put(model: schema.ModelT, tensor: Any, data: np.ndarray) -> None:
    # A new buffer: the converter lets equal constants share one.
    model.buffers.append(schema.BufferT(data=data))
    tensor.buffer = len(model.buffers) - 1


def _drop_unused(model: schema.ModelT) -> None:
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None


def _same_direction(data: np.ndarray, kernel: np.ndarray) -> bool:
    """Whether the two kernels are the same but for a factor: the converter may multiply one into them."""
    if data.shape != kernel.shape:
        return False
    largest = [float(np.abs(each).max()) or 1.0 for each in (data, kernel)]
    one, other = data / largest[0], kernel / largest[1]
    return bool(np.allclose(one, other, atol=1e-5) or np.allclose(one, -other, atol=1e-5))
