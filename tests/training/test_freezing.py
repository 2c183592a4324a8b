"""What is frozen stays as it is in inference, and comes back as it was."""

import keras
import numpy as np
import pytest
from keras import ops

from imgrec.layers.conv import RELU, conv_bn
from imgrec.layers.residual import drop_path
from imgrec.models import build_model
from imgrec.training.freezing import depth_groups, frozen, layers_up_to


def random_model() -> keras.Model:
    """A model whose frozen part has batch normalisation, dropout and stochastic depth."""
    image = keras.Input((8, 8, 1), name="image")
    x = conv_bn(image, 4, 3, block="stem", style=RELU.named("stem"))
    y = conv_bn(x, 4, 3, block="stage1_block1", style=RELU)
    y = drop_path(y, 0.5, "stage1_drop")
    x = keras.layers.Add(name="stage1")([x, y])
    x = keras.layers.Dropout(0.5, name="stage1_dropout")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    x = keras.layers.Dropout(0.5, name="features_dropout")(x)
    return keras.Model(image, keras.layers.Dense(3, name="logits")(x), name="random")


def test_the_frozen_part_computes_what_it_does_in_inference() -> None:
    model = random_model()
    features = keras.Model(model.input, model.get_layer("features").output)
    images = ops.convert_to_tensor(np.random.default_rng(0).normal(2, 3, (16, 8, 8, 1)).astype("float32"))
    before = [w.copy() for w in model.get_weights()]
    with frozen(model, "features"):
        inference = np.array(features(images, training=False))
        np.testing.assert_array_equal(np.array(features(images, training=True)), inference)
        assert [v.path.split("/")[0] for v in model.trainable_variables] == ["logits", "logits"]
        # The head's own dropout still works.
        assert np.abs(np.array(model(images, training=True)) - np.array(model(images))).max() > 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)  # moving statistics too
    assert len(model.trainable_variables) == 8
    assert np.abs(np.array(features(images, training=True)) - inference).max() > 0
    assert any(np.abs(new - old).max() > 0 for old, new in zip(before, model.get_weights(), strict=True))


def test_it_comes_back_as_it_was_after_an_error() -> None:
    model = random_model()
    model.get_layer("stem_conv").trainable = False
    with pytest.raises(KeyError), frozen(model, "stage1"):
        assert [v.path.split("/")[0] for v in model.trainable_variables] == ["logits", "logits"]
        raise KeyError
    assert not model.get_layer("stem_conv").trainable
    assert model.get_layer("stem_bn").trainable
    assert model.get_layer("stage1_drop").drop.rate == 0.5


def test_up_to_an_endpoint_counts_both_branches() -> None:
    model = build_model("resnet8", (16, 16, 1), 3)
    names = {layer.name for layer in layers_up_to(model, "stage2")}
    assert {"image", "normalize", "stem", "stage1", "stage2_block1_shortcut_conv", "stage2"} <= names
    assert not any(name.startswith("stage3") or name in ("features", "logits") for name in names)


def test_depth_groups_hold_every_weight_once() -> None:
    model = build_model("resnet8", (16, 16, 1), 3)
    groups = list(depth_groups(model).values())
    assert len(groups) == 5  # stem, three stages, head; pooling to `features` has no weights
    held = [v.path for group in groups for layer in group for v in layer.trainable_variables]
    assert held == sorted(held, key=[v.path for v in model.trainable_variables].index)
    assert len(held) == len(model.trainable_variables)
    assert [layer.name for layer in groups[-1]] == ["logits"]
