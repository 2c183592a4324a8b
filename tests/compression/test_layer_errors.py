"""What rounding does to each layer, and where a file leaves its model."""

from pathlib import Path

import keras
import numpy as np
import pytest
from quantized_nets import NETS, pictures

from imgrec.artefact import Calibrated
from imgrec.compression import qat
from imgrec.compression.layer_errors import CLEAN, layer_errors, worst
from imgrec.export import departure, litert, post_training

IMAGES = pictures(16, seed=5)[0]


def net(name: str) -> keras.Model:
    keras.utils.set_random_seed(3)
    return NETS[name]()


@pytest.mark.parametrize("name", NETS)
def test_every_weighted_layer_is_measured_and_errors_pile_up(name: str) -> None:
    quantized = qat.prepare(net(name), IMAGES)
    errors = {error.name: error for error in layer_errors(quantized, IMAGES)}
    weighted = {layer.name for layer in quantized.layers if type(layer).__name__.startswith("Quantized")}
    assert weighted == {name for name in weighted if errors[name].computes}
    assert all(15 < error.own_db <= CLEAN and error.max_abs >= error.mean_abs for error in errors.values())
    assert errors["logits"].db < errors["logits"].own_db, "what is before it is in it too"
    assert errors["normalize"].db == CLEAN, "pixels lie on the points of their range"


def test_a_layer_with_one_huge_filter_value_is_the_worst() -> None:
    """One scale a filter: an outlier in every filter of a layer leaves the others few steps."""
    model = net("conv_net")
    layer = model.get_layer("last")
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, :] = 50 * np.abs(kernel).max()
    layer.set_weights([kernel, bias])
    errors = layer_errors(qat.prepare(model, IMAGES), IMAGES)
    assert worst([error for error in errors if error.computes], 1)[0].name == "last"


def test_own_error_is_that_of_rounding_weights_and_input() -> None:
    """A dense layer on pixels that are rounded exactly: by hand, only its kernel's rounding is left."""
    image = keras.Input((2, 2, 1), name="image")
    outputs = keras.layers.Dense(3, name="logits")(keras.layers.Flatten(name="flat")(image))
    model = keras.Model(image, outputs)
    pixels = np.arange(32, dtype="uint8").reshape(8, 2, 2, 1) * 8
    kernel = model.get_layer("logits").get_weights()[0]
    scale = np.abs(kernel).max(axis=0) / 127
    flat = pixels.reshape(8, 4).astype("float64")
    exact, rounded = flat @ kernel, flat @ (np.round(kernel / scale) * scale)
    expected = 10 * np.log10(np.square(exact).sum() / np.square(rounded - exact).sum())
    (error,) = layer_errors(qat.prepare(model, pixels), pixels)
    assert error.own_db == pytest.approx(expected, abs=0.05)
    assert error.max_abs == pytest.approx(np.abs(rounded - exact).max(), rel=1e-2)


@pytest.mark.parametrize("name", NETS)
def test_no_layer_of_a_faithful_file_departs(name: str, tmp_path: Path) -> None:
    model = net(name)
    exact = litert.to_float32(model, tmp_path / "float32.tflite")
    layers = departure.compared(model, exact, IMAGES[:2])
    assert len(layers) > 6 and max(layer.distance for layer in layers) < 1e-5
    said = departure.first(model, exact, IMAGES[:2], departure.EXACT)
    assert said.startswith("no layer departs by more than 0.001")
    quantized = qat.prepare(model, IMAGES)
    rounded = litert.to_int8(quantized, tmp_path / "int8.tflite")
    assert "no layer" in departure.first(quantized, rounded, IMAGES[:2], departure.ROUNDED)


def test_the_first_layer_that_departs_is_named(tmp_path: Path) -> None:
    model = net("conv_net")
    path = litert.to_float32(model, tmp_path / "float32.tflite")
    layer = model.get_layer("depthwise")
    layer.set_weights([1.5 * weight for weight in layer.get_weights()])
    said = departure.first(model, path, IMAGES[:2], departure.EXACT)
    assert said.startswith("departs at depthwise_relu (") and said.endswith("agrees up to max_pool")


@pytest.mark.parametrize(("tensor", "layer"), [
    ("net_1/conv_1/BiasAdd;net_1/relu_1/Relu", "relu"),
    ("net_1/block_2_1/inner_1/MatMul", "block_2"),
    ("PartitionedCall:0", ""),
])  # fmt: skip
def test_a_tensor_is_of_the_last_layer_in_its_name(tensor: str, layer: str) -> None:
    assert departure.layer_of(tensor, {"conv": 0, "relu": 1, "block_2": 2}) == layer


@pytest.mark.parametrize("name", ["conv_net", "vit"])
def test_files_made_smaller_after_training_follow_the_model(name: str, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    model = net(name)
    full = litert.to_float32(model, tmp_path / "float32.tflite").stat().st_size
    made = {
        "float16": post_training.to_float16(model, tmp_path / "float16.tflite"),
        "dynamic": post_training.to_dynamic(model, tmp_path / "dynamic.tflite"),
        "static": post_training.to_static(Calibrated(model, IMAGES), tmp_path / "static.tflite"),
    }
    bounds = {"float16": 2e-3, "dynamic": 0.1, "static": 0.3}
    for kind, path in made.items():
        layers = departure.compared(model, path, IMAGES[:2])
        assert len(layers) > 6 and max(layer.distance for layer in layers) < bounds[kind], kind
        assert path.stat().st_size <= full
