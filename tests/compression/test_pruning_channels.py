"""Which channels belong together, which matter, which go; and what is refused."""

from typing import Any

import keras
import numpy as np
import pytest

from imgrec.compression.cost import macs
from imgrec.compression.pruning.channels import channels
from imgrec.compression.pruning.choose import LEAST, choose, step_of
from imgrec.compression.pruning.groups import Groups, groups, trace
from imgrec.compression.pruning.importance import norm, taylor
from imgrec.compression.pruning.prunings import EPOCHS, epochs, read
from imgrec.compression.pruning.shrink import shrink, silence
from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.models.widths import resized

LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)


def net(*hidden: keras.layers.Layer, size: int = 8) -> keras.Model:
    """The layers between pixels and five answers."""
    image = x = keras.Input((size, size, 3), name="image")
    for layer in hidden:
        x = layer(x)
    x = keras.layers.Dense(5, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, x)


def conv(filters: int, name: str, **options: Any) -> keras.layers.Layer:
    return keras.layers.Conv2D(filters, 3, padding="same", name=name, **options)


def sizes(model: keras.Model) -> list[int]:
    return sorted(groups(trace(model)).sizes.tolist())


def test_channels_that_are_added_go_together() -> None:
    """ResNet-8: three stages of one stream, and the layer within each block."""
    model = build_model("resnet8", (32, 32, 3), 10)
    assert sizes(model) == [16, 16, 32, 32, 64, 64]
    found = groups(trace(model))
    kept = np.ones(len(found.roots), bool)
    kept[np.flatnonzero(found.family == found.family[0])[:4]] = False
    _, widths = shrink(model, found, kept)
    assert widths == {"stem_conv": {"filters": 12}, "stage1_block1_conv2": {"filters": 12}}


def test_groups_of_a_convolution_lose_the_same_places() -> None:
    model = net(conv(8, "one"), conv(12, "two", groups=4))
    assert sizes(model) == [2, 3]
    found = groups(trace(model))
    kept = np.ones(len(found.roots), bool)
    kept[[0, 3]] = False
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    smaller, widths = shrink(model, found, kept)
    assert widths == {"one": {"filters": 4}, "two": {"filters": 8}}
    silence(found, kept)
    np.testing.assert_allclose(smaller(images), model(images), atol=1e-4)


def test_what_mixes_channels_stays_whole() -> None:
    class Own(keras.layers.ReLU):
        """May compute anything."""

    for layer in (keras.layers.LayerNormalization(), keras.layers.Softmax(), Own()):
        model = net(conv(8, "one"), layer)
        assert sizes(model) == []
        kind = type(layer).__name__
        with pytest.raises(InputError, match=rf"50% of .* and 0% can at most; whole stays what .*\({kind}\)"):
            channels().check(model)
    with pytest.raises(InputError, match="1 inputs and 2 outputs; pruning expects one of each"):
        channels().check(keras.Model(model.inputs, [model.output, model.output]))


def test_the_importance_is_the_slope_of_the_loss() -> None:
    """The change as the readers of one channel are faded, by a finite difference."""
    keras.utils.set_random_seed(0)
    model = build_model("resnet8", (16, 16, 3), 5, width=4)
    found = groups(trace(model))
    draw = np.random.default_rng(0)
    batches = [
        (draw.uniform(0, 255, (4, 16, 16, 3)).astype("float32"), np.eye(5, dtype="float32")[[0, 1, 2, 3]])
        for _ in range(2)
    ]
    measured = taylor(model, found, batches, LOSS)

    def faded(channel: int, by: float) -> np.ndarray:
        values = [cut.variable.numpy() for cut in found.channels.cuts.values() if cut.reads]
        for cut in (cut for cut in found.channels.cuts.values() if cut.reads):
            shape = [-1 if axis == cut.axis else 1 for axis in range(cut.variable.ndim)]
            factor = np.where(found.index(cut.labels) == channel, 1 - by, 1.0).reshape(shape)
            cut.variable.assign(cut.variable.numpy() * factor)
        lost = [float(LOSS(targets, model(images, training=False))) for images, targets in batches]
        for cut, value in zip((c for c in found.channels.cuts.values() if c.reads), values, strict=True):
            cut.variable.assign(value)
        return np.array(lost)

    for channel in (0, 5, len(found.roots) - 1):
        slope = (faded(channel, -0.003) - faded(channel, 0.003)) / 0.006
        assert measured[channel] == pytest.approx((slope**2).mean(), rel=0.05)


def test_the_norm_is_that_of_all_weights_of_a_channel() -> None:
    model = net(conv(2, "one", bias_initializer="ones"))
    model.get_layer("logits").kernel.assign(np.array([[1.0] * 5, [2.0] * 5]))
    kernel = np.zeros((3, 3, 3, 2))
    kernel[0, 0, 0] = [3, 4]
    model.get_layer("one").kernel.assign(kernel)
    found = norm(model, groups(trace(model)), [], LOSS)
    np.testing.assert_allclose(found, np.array([9 + 1 + 5, 16 + 1 + 20]) / 26, rtol=1e-6)


@pytest.fixture(scope="module")
def wide() -> tuple[keras.Model, Groups]:
    model = build_model("resnet8", (32, 32, 3), 10, width=48)
    return model, groups(trace(model))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_the_least_important_go_until_the_work_is_done(
    wide: tuple[keras.Model, Groups], share: float
) -> None:
    model, found = wide
    importance = np.random.default_rng(0).random(len(found.roots))
    kept, saved = choose(found, importance, share, 8)
    assert share <= saved < share + 0.05
    assert 1 - macs(shrink(model, found, kept)[0]) / macs(model) == pytest.approx(saved)
    for family, size in enumerate(found.sizes):
        members = found.family == family
        assert kept[members].sum() % 8 == 0 and kept[members].sum() >= LEAST * size
        if not kept[members].all():
            assert importance[members & kept].min() > importance[members & ~kept].max()


def test_narrow_layers_go_by_smaller_steps() -> None:
    assert [step_of(size, 8) for size in (6, 8, 16, 31, 32, 100)] == [1, 2, 4, 4, 8, 8]
    assert step_of(100, 1) == 1


def test_widths_that_a_model_does_not_take_are_named() -> None:
    model = build_model("resnet8", (32, 32, 3), 10, attention="se")
    for widths, message in (
        ({"stem": {"filters": 8}}, r"layer stem: 'filters' is no width; expected \[\]"),
        ({"nowhere": {"filters": 8}}, "has no layer 'nowhere'"),
        ({"stem_conv": {"filters": 17}}, "filters=17: expected a whole number from 1 to 16"),
        ({"stem_conv": {"filters": True}}, "filters=True: expected a whole number from 1 to 16"),
        ({"stage1_block1_se": {"hidden": 0}}, "hidden=0: expected a whole number from 1"),
        ({"stem_conv": {"filters": 8}}, "the widths of its layers do not go together"),
    ):
        with pytest.raises(InputError, match=message) as refused:
            resized(model, widths)
        assert "\n" not in str(refused.value)


def test_what_is_asked_for_is_read() -> None:
    assert read("none") is None and epochs("none") == 0
    assert read("0.4") == read("channels(macs=0.4)") and epochs("0.4") == EPOCHS
    asked = read("channels(macs=.3, importance=norm, multiple=4, epochs=3, rate=.01)")
    assert asked is not None and (asked.epochs, asked.rate) == (3, 0.01)
    assert asked.pruning == channels(macs=0.3, importance="norm", multiple=4)
    for text, message in (
        ("1.5", r"--prune 1.5: macs=1.5: expected a number from 0.01 to 0.99"),
        ("chanels(macs=.5)", "unknown pruning 'chanels': did you mean channels"),
        ("channels(mac=.5)", "unknown option of pruning channels 'mac': did you mean macs"),
        ("channels(importance=size)", "unknown importance of --prune channels 'size'"),
        ("channels(multiple=0)", "multiple=0: expected a whole number from 1 to 256"),
        ("channels(epochs=0)", "epochs=0: expected 1 or more"),
        ("weights(sparsity=1)", "sparsity=1: expected a number from 0.01 to 0.99"),
        ("weights(.5)", "got 0.5, expected name=value"),
    ):
        with pytest.raises(InputError, match=message):
            read(text)
