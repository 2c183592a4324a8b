"""The int8 file: all int8, with the learned ranges in it, answering as the Keras model does."""

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from quantized_nets import CLASSES, NETS, Tuned, answers, measured, pictures

from imgrec.compression import qat
from imgrec.export import litert
from imgrec.export.inspect import describe, float_operators
from imgrec.layers.fake_quant import ActivationRange, nudge
from imgrec.layers.normalize import PixelNormalization
from imgrec.layers.rounded_kernel import RoundsKernel
from imgrec.models import build_model
from imgrec.runtimes import open_runtime


def learned_ranges(model: keras.Model) -> dict[str, tuple[float, float]]:
    ranges = [layer for layer in model.layers if isinstance(layer, ActivationRange)]
    return {r.name: nudge(*r.ends(), np) for r in ranges}


def test_every_learned_range_is_in_the_file(tuned: Tuned) -> None:
    model, operators = tuned.quantized, tuned.operators
    found = [t.range for o in operators for t in (*o.inputs, *o.outputs) if t.range is not None]
    scales = np.array([(high - low) / 255 for low, high in found])
    zeros = np.array([t.zero_points[0] for o in operators for t in (*o.inputs, *o.outputs) if t.range])
    for name, (low, high) in learned_ranges(model).items():
        scale = (high - low) / 255
        match = (np.abs(scales / scale - 1) < 1e-5) & (zeros == round(-low / scale) - 128)
        assert match.any(), f"{name}: [{low}, {high}] is in no tensor of the file"


def test_biases_are_rounded_as_the_file_has_them(tuned: Tuned) -> None:
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(tuned.path), experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    held = [
        interpreter.get_tensor(detail["index"])
        * detail["quantization_parameters"]["scales"].astype("float64")
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] == np.int32 and len(detail["quantization_parameters"]["scales"])
    ]
    layers = [la for la in tuned.quantized.layers if isinstance(la, RoundsKernel) and la._input_step]
    assert len(layers) > 5
    off = []
    for layer in layers:
        bias = np.asarray(layer.rounded_bias())
        alike = [values for values in held if values.shape == bias.shape] or [np.zeros_like(bias)]
        off.append(min((np.abs(values - bias) for values in alike), key=np.max) > 5e-7)
        assert np.abs(bias - np.asarray(layer.bias)).max() < 1e-3
    # One that lies in the middle between two steps may go the other way.
    assert np.concatenate(off).mean() < 0.01


def test_every_convolution_dense_and_product_is_int8(tuned: Tuned) -> None:
    operators = tuned.operators
    weighted = [o for o in operators if o.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    assert len(weighted) > 8 and not float_operators(operators)
    for operator in weighted:
        source, kernel, bias = operator.inputs[:3]
        assert (source.dtype, kernel.dtype, bias.dtype) == ("int8", "int8", "int32")
        channels = kernel.shape[-1] if operator.name == "DEPTHWISE_CONV_2D" else kernel.shape[0]
        assert len(kernel.scales) == channels and not any(kernel.zero_points)
        assert np.allclose(bias.scales, np.array(kernel.scales) * source.scales[0], rtol=1e-5)


def test_raw_pixels_in_and_float_logits_out(tuned: Tuned) -> None:
    path, operators = tuned.path, tuned.operators
    (image,), (logits,) = operators[0].inputs, operators[-1].outputs
    assert (image.dtype, image.shape, image.scales, image.zero_points) == (
        "uint8",
        (1, 16, 16, 3),
        (1.0,),
        (0,),
    )
    assert (logits.dtype, logits.shape) == ("float32", (1, CLASSES))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_file_answers_as_the_keras_model(tuned: Tuned) -> None:
    model, path = tuned.quantized, tuned.path
    images, labels = pictures(400, seed=9)
    expected = answers(model, images)
    row = measured(path, images, labels, expected, expected)
    step = float(model.layers[-1].maximum - model.layers[-1].minimum) / 255
    assert row.agreement >= 0.99
    assert row.accuracy > 0.5
    logits = open_runtime(path).answer(images)
    assert np.mean(np.abs(logits - expected)) < step


def test_only_layer_normalisation_is_float(tuned: Tuned) -> None:
    operators = tuned.operators
    allowed = {"QUANTIZE", "DEQUANTIZE", "SUM", "MUL", "SUB", "ADD", "RSQRT"}
    floats = {o.name for o in operators if any(t.dtype == "float32" for t in (*o.inputs, *o.outputs))}
    if any(o.name == "RSQRT" for o in operators):
        assert floats <= allowed
    else:
        assert floats == {"DEQUANTIZE"}


@pytest.mark.parametrize("tuned", ["dense_net"], indirect=True)
def test_concatenations_share_one_range_and_nothing_is_rounded_twice(tuned: Tuned) -> None:
    operators = tuned.operators
    joins = [o for o in operators if o.name == "CONCATENATION"]
    assert len(joins) == 5
    scales = {t.scales for o in joins[:4] for t in (*o.inputs, *o.outputs)}
    assert len(scales) == 1
    again = [o for o in operators if o.name == "QUANTIZE" and o.inputs[0].dtype == "int8"]
    assert len(again) == 1, "only the stem's maps, which a normalisation reads too, join from another range"


HARD = {"hard_silu": {"HARD_SWISH"}, "hard_sigmoid": {"ADD", "MUL"}, "leaky_relu": {"LEAKY_RELU"}}


@pytest.mark.parametrize("name", HARD)
def test_hard_curves_are_tflites_own_and_within_a_step(name: str, tmp_path: Path) -> None:
    image = keras.Input((1, 256, 1), name="image")
    x = PixelNormalization((100.0,), (25.0,), name="normalize")(image)  # -4 to 6.2
    x = keras.layers.Flatten(name="flat")(keras.layers.Activation(name, name="curve")(x))
    model = keras.Model(image, x)
    pixels = np.arange(256, dtype="uint8").reshape(1, 1, 256, 1)
    quantized = qat.prepare(model, pixels)
    path = litert.to_int8(quantized, tmp_path / "curve.tflite")
    assert {o.name for o in describe(path)} - {"QUANTIZE", "DEQUANTIZE", "RESHAPE"} <= HARD[name] | {
        "DEPTHWISE_CONV_2D",
        "MUL",
        "ADD",
    }
    logits = open_runtime(path).answer(pixels)
    x = (np.arange(256) - 100) / 25
    gate = np.clip(x + 3, 0, 6) / 6
    exact = {"hard_silu": x * gate, "hard_sigmoid": gate, "leaky_relu": np.where(x < 0, 0.2 * x, x)}[name]
    step = 1 / 255 if name == "hard_sigmoid" else np.ptp(exact) / 255
    assert np.abs(logits[0] - exact).max() < 2 * step
    differ = np.abs(logits - answers(quantized, pixels)) > step / 2
    assert differ.mean() < 0.05


@pytest.mark.parametrize("pool, side", [(2, 8), (3, 9)])
def test_average_pooling_breaks_ties_as_the_file_does(pool: int, side: int, tmp_path: Path) -> None:
    image = keras.Input((side, side, 2), name="image")
    model = keras.Model(image, keras.layers.AveragePooling2D(pool, name="p")(image))
    quantized = qat.prepare(model)
    path = litert.to_int8(quantized, tmp_path / "pool.tflite")
    images = np.random.default_rng(0).integers(0, 256, (50, side, side, 2)).astype("uint8")
    assert np.array_equal(open_runtime(path).answer(images), answers(quantized, images))


def test_dead_and_faint_channels_survive(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D(name="features")(keras.layers.ReLU(name="relu")(x))
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(x))
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., 0], kernel[..., 1], bias[:2] = 0, kernel[..., 1] * 1e-8, [0.5, 40.0]
    model.get_layer("conv").set_weights([kernel, bias])
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3)).astype("uint8")
    quantized = qat.prepare(model, images)
    path = litert.to_int8(quantized, tmp_path / "faint.tflite")
    logits = open_runtime(path).answer(images)
    expected = answers(quantized, images)
    assert np.abs(logits - expected).max() <= np.ptp(expected) / 100


def test_an_unmeasured_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(litert.ExportError, match="calibrate or train"):
        litert.to_int8(qat.prepare(NETS["vit"]()), tmp_path / "x.tflite")
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, size, options",
    [("alexnet", 224, {}), ("resnet50", 96, {"attention": "cbam"}), ("vit_ti_16", 224, {})],
)
def test_large_models_train_a_step_and_become_int8(
    name: str, size: int, options: dict, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (16, size, size, 3)).astype("uint8")
    targets = np.eye(10, dtype="float32")[np.arange(16) % 10]
    quantized = qat.prepare(build_model(name, input_shape=(size, size, 3), num_classes=10, **options), images)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    quantized.compile(keras.optimizers.SGD(1e-4), loss)
    assert np.isfinite(quantized.train_on_batch(images[:4].astype("float32"), targets[:4]))
    path = litert.to_int8(quantized, tmp_path / "qat_int8.tflite")
    expected = answers(quantized, images)
    logits = open_runtime(path).answer(images)
    assert np.abs(logits - expected).max() < np.ptp(expected) * 0.2
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.98
