"""What is inside a TFLite file: its operators, their tensors and how those are quantised."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")
ROUNDED = ("int4", "int8", "int16")


@dataclass(frozen=True)
class TensorInfo:
    """A tensor; `scales` and `zero_points` have one value, one a channel, or none if it is not int8.

    index: its number in the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    index: int = -1

    @property
    def range(self) -> tuple[float, float] | None:
        """The real values of -128 and 127, for an int8 tensor with one scale."""
        if self.dtype != "int8" or len(self.scales) != 1:
            return None
        scale, zero_point = self.scales[0], self.zero_points[0]
        return (-128 - zero_point) * scale, (127 - zero_point) * scale


@dataclass(frozen=True)
class Operator:
    """An operator with its tensors, in the file's order; absent optional inputs are left out."""

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


def describe(path: str | Path) -> list[Operator]:
    """Return the operators of a TFLite file in order of execution; needs no TensorFlow."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # a delegate would hide what it takes over
    interpreter = Interpreter(str(path), experimental_op_resolver_type=plain)
    fours = _of_four_bits(Path(path).read_bytes())
    tensors = {
        detail["index"]: _tensor(detail, detail["index"] in fours)
        for detail in interpreter.get_tensor_details()
    }

    def named(indices: Iterable[int]) -> tuple[TensorInfo, ...]:
        return tuple(tensors[i] for i in indices if i in tensors)

    return [
        Operator(op["op_name"], named(op["inputs"]), named(op["outputs"]))
        for op in interpreter._get_ops_details()
    ]


def _of_four_bits(content: bytes) -> frozenset[int]:
    """Numbers of the tensors that are int4, which the interpreter calls int8."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    types = (graph.Tensors(number).Type() for number in range(graph.TensorsLength()))
    return frozenset(number for number, kind in enumerate(types) if kind == schema.TensorType.INT4)


def _tensor(detail: dict, four_bits: bool) -> TensorInfo:
    quantization = detail["quantization_parameters"]
    return TensorInfo(
        name=detail["name"],
        dtype=_type_name(detail["dtype"], four_bits),
        shape=tuple(int(side) for side in detail["shape"]),
        scales=tuple(float(scale) for scale in quantization["scales"]),
        zero_points=tuple(int(zero) for zero in quantization["zero_points"]),
        index=int(detail["index"]),
    )


def _type_name(dtype: type | None, four_bits: bool) -> str:
    if dtype is None:
        return "resource"
    return "int4" if four_bits else np.dtype(dtype).name


def foreign_operators(operators: Iterable[Operator]) -> list[str]:
    """Names of operators that are not TFLite built-ins: Flex and custom ones, and stateful variables."""
    stateful = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
    return sorted(
        {o.name for o in operators if not re.fullmatch(r"[A-Z0-9_]+", o.name) or o.name in stateful}
    )


def float_operators(operators: Iterable[Operator], meant: Collection[int] = ()) -> list[str]:
    """One line for each convolution, dense layer or matrix product that is not of whole numbers throughout.

    Args:
        operators: of a file, in its order.
        meant: numbers of those that are to be float32.
    """
    lines = []
    for number, operator in enumerate(operators):
        if operator.name not in WEIGHTED or number in meant:
            continue
        data = [*operator.inputs[:2], *operator.outputs]
        others = sorted({tensor.dtype for tensor in data if tensor.dtype not in ROUNDED})
        if others:
            lines.append(f"{operator.name} {number} ({operator.outputs[0].name}): {', '.join(others)}")
    return lines
