"""Kernels of 4 bits and activations of 16: what the file holds, and that it answers as the model."""

from pathlib import Path

import keras
import numpy as np
import pytest
from quantized_nets import answers, pictures, train
from small_nets import small_net

from imgrec.compression import qat
from imgrec.errors import InputError
from imgrec.export import litert
from imgrec.export.inspect import describe
from imgrec.export.kernels import packed
from imgrec.layers.attention import SqueezeExcitation
from imgrec.layers.rounded_kernel import RoundsKernel
from imgrec.runtimes import open_runtime


def test_levels_of_four_bits_lie_two_to_a_byte_the_first_below() -> None:
    assert packed(np.array([[1, -1, 7]], np.int8)).tolist() == [0xF1, 0x07]


def test_kernels_of_four_bits_are_the_file_s_int4(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    images = pictures(200, seed=9, size=8)[0]
    model = small_net()
    train(model, 20)
    quantized = qat.prepare(model, images[:64], weights=4)
    path = litert.to_int8(quantized, tmp_path / "w4.tflite")
    whole = litert.to_int8(qat.prepare(model, images[:64]), tmp_path / "w8.tflite")
    assert path.stat().st_size < whole.stat().st_size
    layers = [la for la in quantized.layers if isinstance(la, RoundsKernel)]
    for layer in layers:
        levels, steps = layer.levels()
        assert np.abs(levels).max() == 7
        assert np.allclose(layer.rounded_kernel(), levels * steps, rtol=1e-5)
    operators = describe(path)
    fours = [o for o in operators if o.inputs[1:2] and o.inputs[1].dtype == "int4"]
    assert len(fours) == len(layers) == 4
    answered, expected = open_runtime(path).answer(images), answers(quantized, images)
    step = float(np.ptp(quantized.layers[-1].ends())) / 255
    assert np.mean(answered.argmax(1) == expected.argmax(1)) >= 0.99
    assert np.abs(answered - expected).mean() < step


def test_activations_of_sixteen_bits_are_the_file_s_int16(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    images = pictures(200, seed=9, size=8)[0]
    model = small_net()
    train(model, 20)
    quantized = qat.prepare(model, images[:64], activations=16)
    train(quantized, 3, rate=1e-3)
    path = litert.to_int8(quantized, tmp_path / "a16.tflite")
    weighted = [o for o in describe(path) if o.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    assert len(weighted) == 5, "the normalisation of pixels is one too"
    assert {(o.inputs[0].dtype, o.inputs[1].dtype, o.outputs[0].dtype) for o in weighted} == {
        ("int16", "int8", "int16")
    }
    runtime, expected = open_runtime(path), answers(quantized, images)
    answered = runtime.answer(images)
    assert np.mean(answered.argmax(1) == expected.argmax(1)) >= 0.99
    assert np.abs(answered - expected).max() < 0.005 * np.ptp(expected)


def test_what_the_converter_has_not_in_sixteen_bits_is_no_file(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = SqueezeExcitation(2, name="se")(keras.layers.Conv2D(4, 3, name="stem")(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="logits")(x))
    quantized = qat.prepare(model, pictures(16, size=8)[0], activations=16)
    with pytest.raises(litert.ExportError, match="not all of it in 16 bits: use activations=8"):
        litert.to_int8(quantized, tmp_path / "a16.tflite")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options, said",
    [
        ({"weights": 5}, "weights=5: expected 4 or 8 bits"),
        ({"weights": True}, "weights=True"),
        ({"activations": 4}, "activations=4: expected 8 or 16"),
        ({"lsq": "bias"}, "lsq=bias: expected true, false, activations or weights"),
        ({"lsq": True, "activations": 16}, "leave out activations=16"),
        ({"float": 3}, "float=3: expected names"),
        ({"observer": "median"}, "unknown observer 'median'"),
    ],
)
def test_a_value_that_means_nothing_is_told_in_one_line(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        qat.check(small_net(), **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)
