"""A converted TFLite graph, edited: the task's last step behind its output, names, and metadata.

The last step is appended to the finished file, since the converter would make a softmax int8: in steps of
1/256, where classes tie. Here it is float32, on the logits as they are, or scaled as the run's calibration
says: by a multiplication, since accelerators refuse the softmax operator's own factor (`beta`).
"""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from imgrec.artefact import SCORES
from imgrec.export.card import CALIBRATED, Card
from imgrec.export.metadata import model_metadata, with_texts
from imgrec.tasks.calibration import Scaling

IMAGE = "image"
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # of weights, as schema.fbs asks; the generated code forgets it
_METADATA = "TFLITE_METADATA"
_OPERATORS = {
    "softmax": schema.BuiltinOperator.SOFTMAX,
    "sigmoid": schema.BuiltinOperator.LOGISTIC,
    "multiply": schema.BuiltinOperator.MUL,
    "add": schema.BuiltinOperator.ADD,
}


class _Aligned(schema.BufferT):
    """A buffer that is written where its data can be read in place."""

    def __init__(self, buffer: schema.BufferT) -> None:
        super().__init__(buffer.data, buffer.offset, buffer.size)

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Write the data, aligned, and the table that points to it."""
        data = None
        if self.data is not None:
            content = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), _ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        schema.BufferAddOffset(builder, self.offset)
        schema.BufferAddSize(builder, self.size)
        return int(schema.BufferEnd(builder))


class _Ranges(schema.QuantizationParametersT):
    """How a tensor is quantised, equal vectors written once.

    Every kernel and every bias of a layer has a zero-point for each channel, of eight bytes, all of them
    zero: a tenth of an int8 MobileNetV2. Readers follow offsets, and two may point to one place.
    """

    def __init__(self, ranges: schema.QuantizationParametersT, held: dict[tuple[str, bytes], int]) -> None:
        super().__init__(**vars(ranges))
        self._held = held

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Write the vectors that are not there yet, and the table that points to them."""
        if self.details is not None:  # scales by block, which nothing of ours makes
            return int(super().Pack(builder))
        given = {"Min": self.min, "Max": self.max, "Scale": self.scale, "ZeroPoint": self.zeroPoint}
        vectors = {
            name: self._vector(builder, np.asarray(values, np.int64 if name == "ZeroPoint" else np.float32))
            for name, values in given.items()
            if values is not None and len(values)
        }
        schema.QuantizationParametersStart(builder)
        for name, offset in vectors.items():
            getattr(schema, f"QuantizationParametersAdd{name}")(builder, offset)
        schema.QuantizationParametersAddQuantizedDimension(builder, self.quantizedDimension)
        return int(schema.QuantizationParametersEnd(builder))

    def _vector(self, builder: flatbuffers.Builder, values: np.ndarray) -> int:
        key = values.dtype.str, values.tobytes()
        if key not in self._held:
            self._held[key] = builder.CreateNumpyVector(values)
        return self._held[key]


def finish(content: bytes, card: Card | None) -> bytes:
    """Return a converted file as it ships: scores out, and what `card` says inside.

    Args:
        content: a TFLite file of one image in and float32 outputs `[1, outputs]` out.
        card: what is put in; None leaves the file as the converter made it.

    Raises:
        ValueError: another kind of output.
    """
    if card is None:
        return content
    model = schema.ModelT.InitFromPackedBuf(content)
    _take_in(model, content)
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = IMAGE
    if card.task.activation:
        if card.scaling:
            _append_scaling(model, card.scaling)
        _append_last_step(model, card.task.activation)
    _add_buffer(model, _METADATA, model_metadata(card))
    _rename_signature(model)
    model.description = card.name
    return with_texts(pack(model), card.companions)


def _take_in(model: schema.ModelT, content: bytes) -> None:
    """Put weights that lie behind the flatbuffer, as LiteRT's quantiser leaves larger ones, into it."""
    for buffer in model.buffers:
        if buffer.offset > 1:  # 1 stands for none, by schema.fbs
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def pack(model: schema.ModelT) -> bytes:
    """Return the bytes of a model, its buffers aligned and its equal ranges shared."""
    model.buffers = [_Aligned(buffer) for buffer in model.buffers]
    held: dict[tuple[str, bytes], int] = {}
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        if tensor.quantization is not None:
            tensor.quantization = _Ranges(tensor.quantization, held)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _append_last_step(model: schema.ModelT, activation: str) -> None:
    """Put a float32 softmax or sigmoid behind the graph's output."""
    step = _append(model, activation, SCORES)
    if activation == "softmax":
        step.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
        step.builtinOptions = schema.SoftmaxOptionsT(beta=1.0)


def _append_scaling(model: schema.ModelT, scaling: Scaling) -> None:
    """Put a float32 multiplication behind the graph's output, and an addition where there are shifts."""
    step = _append(model, "multiply", CALIBRATED, scaling.factors)
    step.builtinOptionsType = schema.BuiltinOptions.MulOptions
    step.builtinOptions = schema.MulOptionsT()
    if scaling.shifts:
        step = _append(model, "add", f"{CALIBRATED}_shifted", scaling.shifts)
        step.builtinOptionsType = schema.BuiltinOptions.AddOptions
        step.builtinOptions = schema.AddOptionsT()


def _append(model: schema.ModelT, operator: str, name: str, values: Sequence[float] = ()) -> schema.OperatorT:
    """Put a float32 operator behind the graph's output, a key of `_OPERATORS`, and return it.

    `name` is that of its output; `values`, if any, are a constant that it takes beside the output so far.
    """
    graph = model.subgraphs[0]
    (before,) = graph.outputs
    given = graph.tensors[before]
    if given.type != schema.TensorType.FLOAT32 or len(given.shape) != 2:
        raise ValueError(f"expected float32 [1, outputs], got type {given.type}, shape {given.shape}")
    inputs = [before, *([_constant(model, f"{name}_{operator}", values)] if len(values) else [])]
    made = schema.TensorT()
    made.name, made.type, made.shape, made.buffer = name, given.type, given.shape, 0
    made.shapeSignature, made.hasRank = given.shapeSignature, given.hasRank
    graph.tensors.append(made)
    step = schema.OperatorT()
    step.opcodeIndex, step.inputs = _code(model, _OPERATORS[operator]), inputs
    step.outputs = [len(graph.tensors) - 1]
    graph.operators.append(step)
    graph.outputs = step.outputs
    return step


def _constant(model: schema.ModelT, name: str, values: Sequence[float]) -> int:
    """Add a float32 vector and return the number of its tensor."""
    content = np.asarray(values, np.float32)
    model.buffers.append(schema.BufferT(data=np.frombuffer(content.tobytes(), np.uint8)))
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = name, schema.TensorType.FLOAT32, len(model.buffers) - 1
    tensor.shape, tensor.hasRank = [len(content)], True
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _code(model: schema.ModelT, wanted: int) -> int:
    """Return the place of an operator in the model's list, appended where it is missing."""
    for place, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == wanted:
            return place
    model.operatorCodes.append(schema.OperatorCodeT(wanted, None, 1, wanted))
    return len(model.operatorCodes) - 1


def _add_buffer(model: schema.ModelT, name: str, content: bytes) -> None:
    model.buffers.append(schema.BufferT(data=np.frombuffer(content, np.uint8)))
    entry = schema.MetadataT(name, len(model.buffers) - 1)
    model.metadata = [*(model.metadata or []), entry]


def _rename_signature(model: schema.ModelT) -> None:
    """Let the signature, if there is one, speak of the graph's own input and output."""
    graph: Any = model.subgraphs[0]
    for signature in model.signatureDefs or []:
        for mapped, index in (
            (signature.inputs[0], graph.inputs[0]),
            (signature.outputs[0], graph.outputs[0]),
        ):
            mapped.tensorIndex, mapped.name = index, graph.tensors[index].name
