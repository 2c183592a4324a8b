"""Every model of the zoo without some of its channels answers as with zeros in all their weights."""

from typing import Any

import keras
import numpy as np
import pytest

from imgrec.compression.cost import macs
from imgrec.compression.pruning.channels import channels
from imgrec.compression.pruning.groups import groups, trace
from imgrec.compression.pruning.shrink import shrink, silence
from imgrec.errors import InputError
from imgrec.models import MODELS, build_model, info
from imgrec.models.widths import resized

LEAST_SHARE = {"vit_small_image": 0.38}
"""Model → share of its small form's multiply-accumulates that can be saved, where that is below half."""
SIZE, SIZE_OF_LARGE, LARGE, DEEP = 32, 16, 20e6, {"preact_resnet1001"}
CLASSES = 5
QUICK = {"lenet5", "resnet8", "preact_resnet20", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"}

MARKED = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


def awake(model: keras.Model, draw: np.random.Generator) -> None:
    """Give normalisations and biases values under which no channel looks like another."""
    for variable in model.weights:
        kind = variable.path.rpartition("/")[2]
        if kind in ("moving_variance", "gamma", "scale"):
            variable.assign(draw.uniform(0.5, 1.5, variable.shape))
        elif kind in ("moving_mean", "beta", "bias"):
            variable.assign(draw.normal(0, 0.1, variable.shape))


def outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(images, training=False))


def assert_same_without_silent_channels(name: str, **options: Any) -> None:
    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0)
    large = info(name).parameters > LARGE or name in DEEP
    size = max(info(name).min_size, SIZE_OF_LARGE if large else SIZE)
    model = build_model(name, (size, size, 3), CLASSES, **options)
    awake(model, draw)
    found = groups(trace(model))
    counted = found.macs()
    assert counted.of(found.sizes) == macs(model)

    kept = draw.random(len(found.roots)) < 0.5
    for family in range(len(found.sizes)):
        kept[np.flatnonzero(found.family == family)[0]] = True
    smaller, widths = shrink(model, found, kept)
    images = draw.uniform(0, 255, (2, size, size, 3)).astype("float32")
    before = outputs(model, images)
    silence(found, kept)
    expected = outputs(model, images)
    np.testing.assert_allclose(outputs(smaller, images), expected, atol=1e-4 * max(1, np.abs(expected).max()))
    assert np.abs(before - expected).max() > 1e-5, "the channels that went had nothing to say"
    left = np.bincount(found.family, kept).astype(int)
    assert counted.of(left) == macs(smaller) < macs(model)

    assert [layer.name for layer in smaller.layers] == [layer.name for layer in model.layers]
    assert all(smaller.get_layer(end).output.shape[1:-1] == model.get_layer(end).output.shape[1:-1]
               for end in info(name).endpoints)  # fmt: skip
    again = resized(model, widths)
    again.set_weights(smaller.get_weights())
    np.testing.assert_array_equal(outputs(again, images), outputs(smaller, images))


@pytest.mark.parametrize("name", MARKED)
def test_a_pruned_model_answers_as_with_zeros(name: str) -> None:
    try:
        assert_same_without_silent_channels(name)
    finally:
        keras.backend.clear_session()


@pytest.mark.parametrize(
    "options",
    [{"attention": "se"}, {"attention": "cbam"}, {"attention": "occlusion"}, {"deformable": "stage3"}],
)
def test_so_does_a_resnet_with_other_layers(options: dict[str, str]) -> None:
    assert_same_without_silent_channels("resnet8", **options)


@pytest.mark.parametrize("name", MARKED)
def test_half_of_the_work_can_be_saved_or_what_stays_is_said(name: str) -> None:
    size = max(info(name).min_size, SIZE)
    model = build_model(name, (size, size, 3), CLASSES)
    channels(macs=LEAST_SHARE.get(name, 0.5)).check(model)
    if name in LEAST_SHARE:
        with pytest.raises(
            InputError, match=rf"^--prune: 50% of .* '{name}' shall go, .* whole stays what"
        ) as no:
            channels(macs=0.5).check(model)
        assert "\n" not in str(no.value)
    keras.backend.clear_session()
