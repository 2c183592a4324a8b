"""From a float model to one that rounds: same function, every layer covered, trainable, restorable."""

import keras
import numpy as np
import pytest
from keras import layers
from quantized_nets import CLASSES, NETS, Tuned, answers, conv_net, pictures, vit

from imgrec.compression import qat
from imgrec.compression.graph import expand
from imgrec.compression.pixels import pixel_range
from imgrec.errors import InputError
from imgrec.layers.composite import Composite
from imgrec.layers.fake_quant import mode
from imgrec.layers.normalization import BatchNormalization
from imgrec.models import MODELS, build_model


def shaken(model: keras.Model) -> keras.Model:
    """Give normalisations statistics that are not the identity."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            count = layer.gamma.shape
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, count),
                    rng.normal(0, 0.3, count),
                    rng.normal(0, 0.3, count),
                    rng.uniform(0.5, 2, count),
                ]
            )
    return model


@pytest.mark.parametrize("name", NETS)
def test_expanding_leaves_primitives_only_and_the_model_alone(name: str) -> None:
    model = NETS[name]()
    before = [layer.name for layer in model.layers]
    steps = expand(model).steps
    assert not any(isinstance(step.operation, Composite) for step in steps)
    assert len({step.name for step in steps}) == len(steps)
    assert [layer.name for layer in model.layers] == before
    assert [step.name for step in expand(NETS[name]()).steps] == [step.name for step in steps]


@pytest.mark.parametrize("name", NETS)
def test_folded_model_without_rounding_gives_the_float_models_logits(name: str) -> None:
    model, (images, _) = shaken(NETS[name]()), pictures(64)
    if name == "vit":  # its mean of 127.5 lies between two pixel values and becomes 128
        model.get_layer("normalize").mean = (128.0,) * 3
    quantized = qat.prepare(model)
    with mode("bypass"):
        folded = answers(quantized, images)
    expected = answers(model, images)
    assert np.abs(folded - expected).max() < 2e-3 * np.abs(expected).max()
    assert not any(isinstance(layer, BatchNormalization) for layer in quantized.layers)


def test_rounding_stays_near_the_float_model() -> None:
    model, (images, _) = shaken(conv_net()), pictures(128)
    exact, rounded = answers(model, images), answers(qat.prepare(model, images), images)
    assert np.abs(rounded - exact).max() < 0.15 * np.ptp(exact)
    assert np.corrcoef(rounded.ravel(), exact.ravel())[0, 1] > 0.99


def test_fine_tuning_learns_and_moves_weights_and_ranges(tuned: Tuned) -> None:
    images, labels = pictures(400, seed=9)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    after = answers(tuned.quantized, images)
    assert float(loss(labels, after)) < float(loss(labels, tuned.calibrated_logits))
    assert np.mean(np.array(tuned.calibrated) != np.array(tuned.upper_ends())) > 0.9
    pairs = zip(tuned.float_weights, tuned.float_model.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_shared_layers_stay_shared() -> None:
    quantized = qat.prepare(conv_net())
    names = [layer.name for layer in quantized.layers]
    assert names.count("cbam_channel_reduce") == 1 and "cbam_channel_reduce_2" not in names


@pytest.mark.parametrize("name", NETS)
def test_a_saved_model_is_restored_by_building_it_again(name: str, tmp_path) -> None:
    images, _ = pictures(64)
    source = NETS[name]()
    first = qat.prepare(source, images)
    first.save_weights(tmp_path / "q.weights.h5")
    keras.utils.clear_session()
    again = qat.prepare(NETS[name]())
    again.load_weights(tmp_path / "q.weights.h5")
    assert np.array_equal(answers(first, images), answers(again, images))


def test_uncovered_layers_are_all_named() -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2DTranspose(4, 3, name="up")(image)
    x = layers.PReLU(name="leak")(x)
    x = layers.Conv2D(4, 3, activation="elu", name="curved")(x)
    x = keras.ops.sin(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, name="logits")(x), name="odd")
    with pytest.raises(InputError) as caught:
        qat.check(model)
    text = str(caught.value)
    for part in ("odd", "up (Conv2DTranspose)", "leak (PReLU)", "'elu'", "sin (Sin)"):
        assert part in text
    assert "\n" not in text and "Dense" not in text
    with pytest.raises(InputError):
        qat.prepare(model)


def test_a_users_own_subclass_is_not_taken_for_the_layer_it_derives_from() -> None:
    class Conv2D(layers.Conv2D):
        pass

    image = keras.Input((8, 8, 3))
    with pytest.raises(InputError, match="mine"):
        qat.check(keras.Model(image, Conv2D(2, 3, name="mine")(image)))


@pytest.mark.parametrize("shape", [(0, 16, 16, 3), (4, 8, 8, 3), (16, 16, 3)])
def test_calibration_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \[N, 16, 16, 3\]"):
        qat.prepare(vit(), np.zeros(shape, "uint8"))


QUICK = ("lenet5", "resnet20", "resnet50", "vit_small_image")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in list(MODELS)]
)
def test_every_model_of_the_zoo_is_covered(name: str) -> None:
    size = 224 if name.endswith("_16") else 64
    qat.check(build_model(name, input_shape=(size, size, 3), num_classes=CLASSES))


@pytest.mark.parametrize("attention", ["se", "cbam", "occlusion"])
def test_attention_is_covered(attention: str) -> None:
    qat.check(build_model("resnet8", input_shape=(28, 28, 1), num_classes=CLASSES, attention=attention))


def test_pixels_keep_clear_of_the_middle_between_two_points() -> None:
    std, mean = np.array([60.0, 61.0, 62.0]), np.array([120.0, 110.0, 100.0])
    scale, offset = 1 / std, -mean / std
    low, high = pixel_range(scale, offset)
    assert low <= offset.min() * 0.99 and high >= (255 * scale + offset).max() * 0.99
    position = (np.arange(256)[:, None] * scale + offset - low) / ((high - low) / 255)
    assert np.abs(position % 1 - 0.5).min() > 5e-4
