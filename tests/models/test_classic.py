"""VGG, Inception, SqueezeNet, DenseNet and pre-activation ResNet: what the common tests do not show."""

import re
from typing import Any

import keras
import numpy as np
import pytest
from published import PARAMETERS

from imgrec.compression.graph import expand
from imgrec.compression.lower import lower
from imgrec.errors import InputError
from imgrec.models import build_model, info

SMALL_VGG = [
    ("vgg11_bn", 9_231_114),
    ("vgg13_bn", 9_416_010),
    ("vgg16_bn", 14_728_266),
    ("vgg19_bn", 20_040_522),
]
"""Counts of github.com/kuangliu/pytorch-cifar, 10 classes."""


def sizes(model: keras.Model) -> dict[str, int]:
    endpoints = info(model.name).endpoints
    return {e: model.get_layer(e).output.shape[1] for e in endpoints[: endpoints.index("features")]}


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [SMALL_VGG[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in SMALL_VGG[1:])],
)
def test_small_vgg(name: str, parameters: int) -> None:
    model = build_model(name, (32, 32, 3), 10)
    assert trainable(model) == parameters
    assert list(sizes(model).values()) == [32, 16, 8, 4, 2, 2]


@pytest.mark.slow
def test_weights_of_a_large_vgg_fit_every_size() -> None:
    model = build_model("vgg11", (96, 130, 3), 1000)
    assert trainable(model) == PARAMETERS["vgg11"]
    assert model.get_layer("grid").output.shape == (None, 7, 7, 512)


@pytest.mark.parametrize(
    ("name", "size", "sides"),
    [
        ("googlenet", 28, [14, 14, 7, 4]),
        ("googlenet", 65, [8, 8, 4, 2]),
        ("inception_v3", 28, [10, 10, 4, 1]),
        pytest.param("inception_v3", 75, [7, 7, 3, 1], marks=pytest.mark.slow),
        ("squeezenet1_0", 28, [28, 28, 14, 7]),
        ("squeezenet1_0", 65, [15, 15, 7, 3]),
        ("squeezenet1_1", 28, [28, 28, 14, 7]),
        ("squeezenet1_1", 65, [16, 16, 8, 4]),
        ("densenet121", 28, [28, 28, 14, 7, 3]),
        pytest.param("densenet121", 65, [17, 17, 8, 4, 2], marks=pytest.mark.slow),
        ("preact_resnet20", 28, [28, 28, 14, 7]),
    ],
)
def test_endpoints_and_int8_coverage(name: str, size: int, sides: list[int]) -> None:
    model = build_model(name, (size, size, 3), 3)
    assert list(sizes(model).values()) == sides
    assert lower(expand(model))[1] == []


def test_squeezenet_scores_places_from_its_features_alone() -> None:
    model = build_model("squeezenet1_1", (30, 40, 3), 4)
    features = model.get_layer("features").output
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 30, 40, 3)).astype(np.float32)
    values, logits = keras.Model(model.input, [features, model.output])(pixels)
    layer = model.get_layer("logits")
    kernel, bias = (weight.numpy() for weight in layer.trainable_weights)
    places = values.numpy().reshape(2, *layer.grid, 512)
    expected = np.maximum(places @ kernel[0, 0] + bias, 0).mean(axis=(1, 2))
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["preact_resnet20", pytest.param("preact_resnet164", marks=pytest.mark.slow)]
)
def test_preact_resnet_has_as_many_layers_as_its_name_says(name: str) -> None:
    model = build_model(name, (8, 8, 3), 10)
    weighted = [x.name for x in model.layers if isinstance(x, (keras.layers.Conv2D, keras.layers.Dense))]
    on_the_path = [layer for layer in weighted if not layer.endswith("shortcut")]
    assert len(on_the_path) == int(re.sub(r"\D", "", name))


def test_nothing_stands_on_the_shortcut_of_a_preact_resnet() -> None:
    model = build_model("preact_resnet20", (8, 8, 3), 10)
    for block in (2, 3):
        layer = model.get_layer(f"stage2_block{block}_conv2")
        layer.set_weights([np.zeros(layer.kernel.shape)])
    ends = [model.get_layer(name).output for name in ("stage2_block1_add", "stage2")]
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    before, after = keras.Model(model.input, ends)(pixels)
    assert float(keras.ops.min(before)) < 0
    np.testing.assert_array_equal(before.numpy(), after.numpy())


@pytest.mark.slow
def test_a_thousand_and_one_layers_train() -> None:
    # Half of the images are bright on the left: the loss of chance is ln 2 = 0.69.
    keras.utils.set_random_seed(0)
    model = build_model("preact_resnet1001", (8, 8, 1), 2)
    labels = np.arange(16) % 2
    pixels = np.random.default_rng(0).uniform(0, 128, (16, 8, 8, 1)).astype(np.float32)
    pixels[labels == 1, :, :4] += 100
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Eagerly: to trace 3,342 layers takes longer than a few steps.
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss, run_eagerly=True)
    losses = [float(model.train_on_batch(pixels, labels)) for _ in range(8)]
    assert np.isfinite(losses).all()
    assert min(losses[-2:]) < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("name", "layer", "names"),
    [
        ("vgg16", "stage3_conv2", ("features.12",)),
        ("vgg16_bn", "stage3_bn2", ("features.18",)),
        ("vgg11", "fc6", ("classifier.0", "pre_logits.fc1")),
        ("googlenet", "inception4b_branch3_bn1", ("inception4b.branch3.1.bn",)),
        ("inception_v3", "mixed7c_branch3x3dbl_conv3b", ("Mixed_7c.branch3x3dbl_3b.conv",)),
        ("squeezenet1_0", "fire9_squeeze", ("features.12.squeeze",)),
        ("squeezenet1_1", "fire9_squeeze", ("features.12.squeeze",)),
        (
            "densenet121",
            "stage2_layer12_bn1",
            ("features.denseblock2.denselayer12.norm1", "features.denseblock2.denselayer12.norm.1"),
        ),
        ("preact_resnet164", "stage3_block18_bn2", ("features.stage3.unit18.body.conv2.bn",)),
    ],
)
def test_names_in_published_weights(name: str, layer: str, names: tuple[str, ...]) -> None:
    reference_names = info(name).reference_names
    assert reference_names is not None
    assert reference_names(layer) == names


@pytest.mark.parametrize(
    ("name", "size", "options", "message"),
    [
        (
            "vgg16",
            28,
            {"small_head": False},
            r"vgg16: got 28×28 px, expected at least 32×32 with small_head=false",
        ),
        ("vgg16", 64, {"small_head": "no"}, r"small_head='no': expected true or false"),
        ("vgg16", 64, {"dropout": 1}, r"dropout=1: expected a share"),
        ("googlenet", 28, {"small_stem": False}, r"at least 32×32 with small_stem=false"),
        ("inception_v3", 74, {"small_stem": False}, r"at least 75×75 with small_stem=false"),
        ("inception_v3", 24, {}, r"inception_v3: got 24×24 px, expected at least 25×25"),
        ("squeezenet1_1", 64, {"dropout": "much"}, r"dropout='much': expected a share"),
        ("densenet121", 15, {}, r"densenet121: got 15×15 px, expected at least 16×16"),
    ],
)
def test_refusals(name: str, size: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(name, (size, size, 3), 3, **options)
