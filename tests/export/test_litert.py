"""The float32 file, what `describe` reads from it, and what is refused."""

from pathlib import Path

import keras
import numpy as np
import pytest

from imgrec.artefact import Artefact, Promise
from imgrec.export import litert, parity
from imgrec.export.inspect import Operator, TensorInfo, describe, float_operators, foreign_operators
from imgrec.models import build_model
from imgrec.tasks.multiclass import Multiclass


def tensor(dtype: str) -> TensorInfo:
    return TensorInfo("t", dtype, (1,), (0.5,), (3,))


def test_float32_file_takes_raw_pixels_and_gives_the_models_logits(tmp_path: Path) -> None:
    model = build_model("resnet8", input_shape=(28, 28, 1), num_classes=10, attention="cbam")
    path = litert.to_float32(model, tmp_path / "exports" / "float32.tflite")
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1)).astype("uint8")
    expected = np.asarray(model(images.astype("float32"), training=False))
    artefact = Artefact(path, "tflite", "none", Promise.SAME_ANSWERS)
    row = parity.measure(
        artefact, images, expected.argmax(1), expected, expected, Multiclass(tuple("0123456789"))
    )
    assert row.agreement == row.accuracy == 1.0
    assert row.max_abs_difference < 1e-4
    operators = describe(path)
    assert operators[0].inputs[0].dtype == "uint8" and operators[-1].outputs[0].dtype == "float32"
    assert not foreign_operators(operators) and len(float_operators(operators)) > 8
    assert [p.name for p in path.parent.iterdir()] == ["float32.tflite"]


def test_a_model_of_mixed_precision_becomes_a_float32_file(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model("vit_small_image", input_shape=(28, 28, 1), num_classes=4)
    finally:
        keras.config.set_dtype_policy("float32")
    operators = describe(litert.to_float32(model, tmp_path / "f.tflite"))
    types = {t.dtype for o in operators for t in (*o.inputs, *o.outputs)}
    assert types <= {"uint8", "float32", "int32"}


def test_operations_outside_tflite_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.ops.erfinv(image * 0.001), name="odd")
    with pytest.raises(litert.ExportError, match="odd"):
        litert.to_float32(model, tmp_path / "x.tflite")
    assert not any(tmp_path.iterdir())


def test_flex_custom_and_stateful_operators_are_foreign() -> None:
    names = ["CONV_2D", "FlexErf", "MyOp", "READ_VARIABLE"]
    assert foreign_operators([Operator(n, (), ()) for n in names]) == ["FlexErf", "MyOp", "READ_VARIABLE"]


def test_a_float_kernel_output_or_product_is_told() -> None:
    int8, single = tensor("int8"), tensor("float32")
    assert not float_operators([Operator("CONV_2D", (int8, int8, tensor("int32")), (int8,))])
    assert not float_operators([Operator("ADD", (single, single), (single,))])
    for bad in (
        Operator("CONV_2D", (int8, single), (int8,)),
        Operator("FULLY_CONNECTED", (int8, int8), (single,)),
        Operator("BATCH_MATMUL", (single, int8), (int8,)),
    ):
        (line,) = float_operators([bad])
        assert bad.name in line and "float32" in line


def test_range_of_an_int8_tensor() -> None:
    assert tensor("int8").range == (-65.5, 62.0)
    assert tensor("float32").range is None
