"""What a TFLite file holds: counts, memory by hand, and what accelerators leave to the processor."""

import itertools
from pathlib import Path

import keras
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator

from imgrec.export import inventory, litert
from imgrec.export.delegates import GPU, NNAPI, unfriendly
from imgrec.export.inspect import Operator, TensorInfo


def tensor(index: int, size: int, dtype: str = "int8", scales: tuple[float, ...] = ()) -> TensorInfo:
    return TensorInfo(f"t{index}", dtype, (1, size), scales, (0,) * len(scales), index)


def chain(*sizes: int) -> list[Operator]:
    """Operators in a row, tensor after tensor."""
    tensors = [tensor(index, size) for index, size in enumerate(sizes)]
    return [Operator("RELU", (a,), (b,)) for a, b in itertools.pairwise(tensors)]


@pytest.mark.parametrize(
    ("sizes", "total"),
    [
        ((64, 64), 128),
        # Of four in a row the two between are not alive together with all others: the third takes the room
        # that no one needs, but the input keeps its own to the end.
        ((64, 640, 64, 64), 64 + 640 + 64),
        ((1, 1), 128),  # aligned to 64 bytes
    ],
)
def test_memory_is_what_lives_together(sizes: tuple[int, ...], total: int) -> None:
    assert inventory.arena_bytes(chain(*sizes)) == total


def test_memory_of_a_residual_keeps_the_shortcut() -> None:
    image, early, late, out = (tensor(index, 1024) for index in range(4))
    operators = [
        Operator("RELU", (image,), (early,)),
        Operator("RELU", (early,), (late,)),
        Operator("ADD", (early, late), (out,)),
    ]
    assert inventory.arena_bytes(operators) == 4 * 1024


def test_conditions_of_accelerators() -> None:
    def op(name: str, *tensors: TensorInfo) -> Operator:
        return Operator(name, tensors[:1], tensors[1:])

    half, whole = tensor(0, 8, "int8", (0.5,)), tensor(1, 8, "int8", (1.0,))
    operators = [
        op("CAST", tensor(2, 4, "uint8"), tensor(3, 4, "float32")),
        op("MEAN", half, whole),
        op("MEAN", half, half),
        op("RSQRT", half, half),
        op("BATCH_MATMUL", half, half),
        op("ROUND", tensor(3, 4, "float32"), tensor(4, 4, "float32")),
    ]
    gpu, nnapi = unfriendly(operators)
    assert gpu == {"CAST (uint8 to float32)": 1, "ROUND": 1}
    assert nnapi == {
        "MEAN (in another range than its input)": 1,
        "RSQRT (int8)": 1,
        "BATCH_MATMUL": 1,
        "ROUND": 1,
    }


def test_the_tables_name_operators_of_tflite() -> None:
    """TensorFlow 2.21's own analyser is no second opinion: it calls every operator fit for the GPU."""
    known = {name for name in vars(BuiltinOperator) if name.isupper()}
    assert known >= GPU and known >= NNAPI
    assert not {"ROUND", "TOPK_V2", "WHERE"} & GPU and not {"ROUND", "GELU", "BATCH_MATMUL"} & NNAPI


def test_a_file_is_told_in_two_lines(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Flatten(name="flat")(keras.layers.Conv2D(4, 3, name="conv")(image))
    path = litert.to_float32(
        keras.Model(image, keras.layers.Dense(2, name="logits")(x)), tmp_path / "a.tflite"
    )
    found = inventory.take(path)
    assert found.operators == {"CAST": 1, "CONV_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1}
    assert found.lines() == [
        "4 operators (CAST 1, CONV_2D 1, RESHAPE 1, FULLY_CONNECTED 1)",
        f"{found.arena_kilobytes:,.0f} KB of memory between them; not on the GPU: CAST (uint8 to float32) 1; "
        "not by NNAPI: none",
    ]
