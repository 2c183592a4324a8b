"""Layers in two: ranks by singular values, work saved, weights kept, and what bundle.build makes of it."""

import keras
import numpy as np
import pytest

from imgrec import bundle
from imgrec.compression.cost import macs
from imgrec.compression.pruning.low_rank import layers, low_rank, ranks_for, split
from imgrec.compression.pruning.prunings import read
from imgrec.errors import InputError

RECORDED = {"name": "squeezenet1_1", "input_shape": [32, 32, 1], "num_classes": 10, "options": {}}
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 1)).astype("float32")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return bundle.build(RECORDED)


def test_the_rank_is_the_least_with_the_energy_and_pays_or_is_left() -> None:
    given = keras.Input((4, 4, 12), name="image")
    x = keras.layers.Conv2D(16, 1, strides=2, activation="relu", name="conv")(given)
    x = keras.layers.Conv2D(16, 3, name="wide")(keras.layers.ZeroPadding2D(1)(x))
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    net = keras.Model(given, keras.layers.Dense(10, name="logits")(x), name="net")
    draw = np.random.default_rng(0)
    kernel = draw.normal(size=(12, 3)) @ draw.normal(size=(3, 16)) + 1e-4 * draw.normal(size=(12, 16))
    net.get_layer("conv").set_weights([kernel[None, None], draw.normal(size=16)])
    found = {each.name: each for each in layers(net)}
    assert set(found) == {"conv", "logits"}
    assert found["conv"].rank(0.999999) == 3 and found["conv"].places == 4
    assert found["conv"].saved(3) == 4 * (12 * 16 - 3 * 28)
    ranks = ranks_for(list(found.values()), 0.999999)
    assert ranks == {"conv": 3}  # 10 × 16 with nearly all of its energy would cost more
    two = split(net, ranks)
    assert [layer.name for layer in two.layers].count("conv_down") == 1
    assert macs(net) - macs(two) == found["conv"].saved(3)
    image = draw.normal(size=(2, 4, 4, 12)).astype("float32")
    np.testing.assert_allclose(two(image), net(image), rtol=0, atol=2e-3)


def test_the_truncated_matrix_is_the_nearest_of_its_rank(model: keras.Model) -> None:
    one = layers(model)[2]
    two = split(model, {one.name: 5})
    first, second = (two.get_layer(f"{one.name}{end}").kernel.numpy()[0, 0] for end in ("_down", ""))
    assert first.shape[1] == 5
    values = np.linalg.svd(one.matrix, compute_uv=False)
    assert np.linalg.norm(first @ second - one.matrix) == pytest.approx(np.linalg.norm(values[5:]), rel=1e-4)
    np.testing.assert_array_equal(two.get_layer(one.name).bias, model.get_layer(one.name).bias)


def test_a_share_of_the_work_is_saved_and_the_run_is_built_again(model: keras.Model) -> None:
    pruning = low_rank(macs=0.2)
    pruning.check(model)
    two, ranks = pruning.prune(model)
    assert 0.2 <= 1 - macs(two) / macs(model) < 0.23
    again = bundle.build({**RECORDED, "ranks": ranks})
    again.set_weights(two.get_weights())
    np.testing.assert_array_equal(again(IMAGES), two(IMAGES))
    assert again.get_layer("features") and again.name == model.name
    assert not {each.name for each in layers(two)} & set(ranks)  # none is halved twice


def test_full_ranks_leave_the_answers(model: keras.Model) -> None:
    ranks = {each.name: min(each.matrix.shape) for each in layers(model)}
    np.testing.assert_allclose(split(model, ranks)(IMAGES), model(IMAGES), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("low_rank(energy=1.5)", "energy=1.5: expected a number from 0.01 to 1"),
        ("low_rank(macs=0)", "macs=0: expected a number from 0.01 to 0.99"),
        ("low_rank(macs=0.2, energy=0.5)", "name one"),
        ("low_rank(rank=3)", "unknown option of pruning low_rank 'rank'"),
    ],
)
def test_a_wrong_option_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert message in str(caught.value)


def test_what_cannot_be_saved_is_refused(model: keras.Model) -> None:
    with pytest.raises(InputError, match="shall go, and"):
        low_rank(macs=0.95).check(model)
    with pytest.raises(InputError, match="has no dense layer or 1 × 1 convolution 'stem'"):
        bundle.build({**RECORDED, "ranks": {"stem": 2}})
    with pytest.raises(InputError, match="rank=0: expected a whole number"):
        bundle.build({**RECORDED, "ranks": {layers(model)[0].name: 0}})


def test_layers_in_two_may_be_narrower_too(model: keras.Model) -> None:
    one, other = layers(model)[:2]
    widths = {one.name: {"filters": one.matrix.shape[1] - 3}, f"{other.name}_down": {"filters": 4}}
    both = bundle.build({**RECORDED, "ranks": {one.name: 6, other.name: 5}, "widths": widths})
    assert both.get_layer(one.name).kernel.shape[2:] == (6, one.matrix.shape[1] - 3)
    assert (
        both.get_layer(f"{other.name}_down").kernel.shape[3]
        == both.get_layer(other.name).kernel.shape[2]
        == 4
    )
