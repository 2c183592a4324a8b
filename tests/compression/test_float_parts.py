"""Parts that stay float32: named by endpoint, layer or pattern, found in the file, and nothing else is."""

from pathlib import Path

import keras
import numpy as np
import pytest
from quantized_nets import answers, pictures, vit
from small_nets import small_net

from imgrec.compression import qat
from imgrec.errors import InputError
from imgrec.export import kernels, litert
from imgrec.export.inspect import describe, float_operators
from imgrec.layers.rounded_kernel import FLOAT, RoundsKernel
from imgrec.runtimes import open_runtime


def kept(**options: object) -> set[str]:
    quantized = qat.prepare(small_net(), **options)
    return {la.name for la in quantized.layers if isinstance(la, RoundsKernel) and la.bits == FLOAT}


def test_endpoints_layers_and_patterns_name_parts() -> None:
    assert kept() == set()
    assert kept(float="logits") == {"logits"}
    assert kept(float=("stem", "logits")) == {"stem_conv", "logits"}
    assert kept(float="stage1") == {"stage1_depthwise", "stage1_conv"}, "all since the endpoint before"
    assert kept(float="stage1_conv") == {"stage1_conv"}
    assert kept(float="*_conv") == {"stem_conv", "stage1_conv"}


@pytest.mark.parametrize(
    "name, said",
    [
        ("stam", "did you mean stem? endpoints: stem, stage1, features, logits"),
        ("features", "holds no convolution"),
        ("block*", "no part of 'small_net'"),
    ],
)
def test_a_part_that_is_not_there_is_named_before_training(name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        qat.check(small_net(), float=("logits", name))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("parts", [("stem", "logits"), ("stage1",)])
def test_they_are_float32_in_the_file_and_all_else_is_int8(parts: tuple[str, ...], tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = small_net()
    images = pictures(200, seed=9, size=8)[0]
    quantized = qat.prepare(model, images[:64], float=parts)
    path = litert.to_int8(quantized, tmp_path / "part.tflite")
    operators = describe(path)
    weighted = [o for o in operators if o.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    floats = [o for o in weighted if o.inputs[1].dtype == "float32"]
    assert len(floats) == 2 and len(float_operators(operators)) == 2
    assert all(o.inputs[1].dtype == "int8" for o in weighted if o not in floats)
    meant = kernels.float_calls(path.read_bytes(), quantized.layers)
    assert not float_operators(operators, meant)
    answered, expected = open_runtime(path).answer(images), answers(quantized, images)
    assert np.abs(answered - expected).max() < 0.02 * np.ptp(expected)


def test_products_of_attention_stay_float32_too(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    images = pictures(32, seed=9)[0]
    quantized = qat.prepare(vit(), images, float="attention0")
    path = litert.to_int8(quantized, tmp_path / "part.tflite")
    products = [o for o in describe(path) if o.name == "BATCH_MATMUL"]
    assert [o.inputs[0].dtype for o in products] == ["float32", "float32", "int8", "int8"]
    answered, expected = open_runtime(path).answer(images), answers(quantized, images)
    assert np.abs(answered - expected).max() < 0.05 * np.ptp(expected)


def test_a_float_operator_that_was_not_meant_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pictures(16, size=8)[0]
    quantized = qat.prepare(small_net(), images, float="logits")
    path = litert.to_int8(quantized, tmp_path / "part.tflite")
    with pytest.raises(kernels.KernelError, match="stem_conv"):
        other = qat.prepare(small_net(), images, float=("stem", "logits"))
        kernels.float_calls(path.read_bytes(), other.layers)
    monkeypatch.setattr(litert, "float_calls", lambda content, layers: frozenset())
    with pytest.raises(litert.ExportError, match="not int8: FULLY_CONNECTED"):
        litert.to_int8(quantized, tmp_path / "other.tflite")
    assert not (tmp_path / "other.tflite").exists()


def test_what_they_cost_by_hand() -> None:
    cost = qat.cost_of_float(small_net(), float=("stem", "logits"))
    assert cost is not None and cost.names == ("stem_conv", "logits")
    stem, depthwise, conv, logits = 16 * 8 * 27, 16 * 8 * 9, 16 * 8 * 72, 40
    assert cost.share == pytest.approx((stem + logits) / (stem + depthwise + conv + logits))
    assert cost.kilobytes == pytest.approx((216 + 40) * 3 / 1000)
    assert cost.milliseconds(10.0, 2.5 + 7.5 * cost.share) == pytest.approx(7.5 * cost.share)
    assert "stem_conv, logits: 25.2% of the multiply-accumulates, 0.8 KB" in cost.line(1.0, 0.4)
    assert qat.cost_of_float(small_net()) is None
