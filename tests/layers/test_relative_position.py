"""Relative position bias against a loop over pairs of places, alone and inside attention."""

import keras
import numpy as np
import pytest

from imgrec.compression.graph import expand
from imgrec.compression.lower import lower
from imgrec.errors import InputError
from imgrec.layers.relative_position import RelativePositionBias, offset_index
from imgrec.layers.transformer import SelfAttention


def pairs(window: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Query, key, and the key's offset from the query, as the paper's figure counts it."""
    height, width = window
    places = [(y, x) for y in range(height) for x in range(width)]
    return [
        (q, k, yq - yk + height - 1, xq - xk + width - 1)
        for q, (yq, xq) in enumerate(places)
        for k, (yk, xk) in enumerate(places)
    ]


@pytest.mark.parametrize("window", [(1, 1), (2, 3), (4, 4)])
def test_every_pair_gets_the_bias_of_its_offset(window: tuple[int, int]) -> None:
    places = window[0] * window[1]
    layer = RelativePositionBias(window, heads=2)
    layer.build((None, 2, places, places))
    assert layer.table.shape == ((2 * window[0] - 1) * (2 * window[1] - 1), 2)
    table = np.random.default_rng(0).normal(size=layer.table.shape).astype(np.float32)
    layer.table.assign(table)
    by_offset = table.reshape(2 * window[0] - 1, 2 * window[1] - 1, 2)
    scores = np.random.default_rng(1).normal(size=(3, 2, places, places)).astype(np.float32)
    expected = scores.copy()
    for query, key, dy, dx in pairs(window):
        expected[:, :, query, key] += by_offset[dy, dx]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(scores)), expected, rtol=1e-6)


def test_a_place_and_itself_share_the_middle_row() -> None:
    # 13 × 13 offsets of Swin's 7 × 7 window: the middle is row 84.
    assert set(np.diag(offset_index((7, 7)))) == {84}
    assert (offset_index((7, 7))[0, -1], offset_index((7, 7))[-1, 0]) == (0, 168)


def test_refuses_scores_of_another_window() -> None:
    with pytest.raises(
        InputError, match=r"got scores of shape \(None, 2, 9, 9\), expected \(batch, 2, 6, 6\)"
    ):
        RelativePositionBias((2, 3), heads=2).build((None, 2, 9, 9))


@pytest.mark.parametrize("heads_first", [False, True])
def test_attention_on_a_grid(heads_first: bool) -> None:
    window, heads, width, source = (2, 3), 2, 8, 5
    layer = SelfAttention(heads, width=width, window=window, heads_first=heads_first)
    tokens = np.random.default_rng(0).normal(size=(2, 6, source)).astype(np.float32)
    layer.build(tokens.shape)
    draw = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(draw.normal(size=variable.shape))
    values = {v.path.split("/", 1)[1]: keras.ops.convert_to_numpy(v) for v in layer.trainable_variables}
    qkv = tokens @ values["qkv/kernel"] + values["qkv/bias"]
    order = (2, 6, heads, 3, 4) if heads_first else (2, 6, 3, heads, 4)
    parts = qkv.reshape(order)
    query, key, value = np.moveaxis(parts, 3 if heads_first else 2, 0)
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) / 2  # √4
    by_offset = values["position/table"].reshape(3, 5, heads)
    for q, k, dy, dx in pairs(window):
        scores[:, :, q, k] += by_offset[dy, dx]
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = np.einsum("bhqk,bkhd->bqhd", weights, value).reshape(2, 6, width)
    expected = mixed @ values["projection/kernel"] + values["projection/bias"]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(tokens)), expected, rtol=2e-4, atol=2e-4)


def test_the_quantiser_adds_the_spread_out_bias_as_a_trained_tensor() -> None:
    tokens = keras.Input((6, 8))
    attention = SelfAttention(2, window=(2, 3), name="attention")
    model = keras.Model(tokens, attention(tokens))
    found, problems = lower(expand(model))
    assert not problems
    (op,) = [op for op in found if op.name == "attention_position"]
    assert (op.kind, op.options["trainable"]) == ("add_weight", True)
    bias = keras.ops.convert_to_numpy(attention.position.bias())
    np.testing.assert_array_equal(op.options["weight"], bias)
