"""Occlusion-aware attention against plain NumPy, and what hiding a key does to its weight."""

import math

import keras
import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.layers.composite import Composite
from imgrec.layers.occlusion import EPSILON, LogVisibility, OcclusionAttention, OcclusionMask, mask_of
from imgrec.models import build_model

Weights = dict[str, np.ndarray]
HEADS = 3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def convolve(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    """3×3, zeros around, stride 1."""
    kernel, (_, height, width, _) = w[f"{name}/kernel"], x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    parts = [padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)]
    return sum(parts) + w[f"{name}/bias"]


def occlusion_mask(x: np.ndarray, w: Weights, prefix: str = "") -> np.ndarray:
    return sigmoid(convolve(np.maximum(convolve(x, w, f"{prefix}conv1"), 0), w, f"{prefix}conv2"))


def occlusion_attention(x: np.ndarray, w: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Key by key, with the weights multiplied by the mask and divided by their sum: no logarithm."""
    mask = occlusion_mask(x, w, "mask/")
    tokens, visible = x.reshape(len(x), -1, x.shape[-1]), mask.reshape(len(x), 1, -1) + EPSILON
    qkv = tokens @ w["attention/qkv/kernel"] + w["attention/qkv/bias"]
    mixed = []
    for q, k, v in zip(*(np.split(part, HEADS, -1) for part in np.split(qkv, 3, -1)), strict=True):
        weight = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])) * visible
        mixed.append(weight / weight.sum(axis=-1, keepdims=True) @ v)
    out = np.concatenate(mixed, -1) @ w["attention/projection/kernel"] + w["attention/projection/bias"]
    return mask * x + w["gain"] * out.reshape(x.shape), mask


def prepared() -> tuple[OcclusionAttention, np.ndarray, Weights]:
    """A layer with random weights, an input, and the weights by name."""
    draw = np.random.default_rng(0)
    layer = OcclusionAttention(HEADS, name="layer")
    layer.build((None, 5, 4, 12))
    for weight in layer.weights:
        weight.assign(draw.normal(size=weight.shape) / math.sqrt(math.prod(weight.shape[:-1])))
    layer.mask.conv2.kernel.assign(4 * layer.mask.conv2.kernel)  # so that some places are hidden, some not
    named = {w.path.removeprefix("layer/"): w.numpy().astype(np.float64) for w in layer.weights}
    return layer, draw.normal(size=(3, 5, 4, 12)).astype(np.float32), named


def test_equals_numpy() -> None:
    layer, x, weights = prepared()
    features, mask = layer(x)
    expected = occlusion_attention(x.astype(np.float64), weights)
    assert mask.shape == (3, 5, 4, 1) and 0 < mask.numpy().min() < 0.2 and 0.3 < mask.numpy().max() < 1
    np.testing.assert_allclose(mask, expected[1], rtol=2e-5)
    np.testing.assert_allclose(features, expected[0], rtol=2e-5, atol=2e-5)


def test_unfolds_to_primitives_over_the_same_weights() -> None:
    layer, x, _ = prepared()
    symbolic = keras.Input(x.shape[1:])
    mask = keras.Model(symbolic, layer.mask.call(symbolic))
    assert not [part for part in mask.layers if isinstance(part, Composite)]
    flat = keras.Model(symbolic, layer.call(symbolic))
    for one, other in zip(flat(x), layer(x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [OcclusionAttention(2), OcclusionMask(4), LogVisibility(1e-3)])
def test_config_is_complete(layer: keras.Layer) -> None:
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer) and copy.get_config() == layer.get_config()


@pytest.mark.parametrize("score", [-6.0, 0.0, 6.0])
def test_a_hidden_key_loses_its_weight_whatever_its_score(score: float) -> None:
    scores = np.array([score, -5.0, -4.0, -6.0], "float32")
    shares = []
    for visibility in (1.0, 0.1, 0.01, 0.0):
        mask = np.array([visibility, 1.0, 1.0, 1.0], "float32")
        ours = softmax(scores + LogVisibility()(mask).numpy())
        others = math.log(np.exp(scores[1:]).sum())
        odds = (visibility + EPSILON) / (1 + EPSILON) * math.exp(score - others)
        assert ours[0] == pytest.approx(odds / (1 + odds), rel=1e-3)
        shares.append(ours[0])
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 2 * EPSILON * math.exp(max(score, -4) + 5)


def test_scaling_scores_by_the_mask_would_not_hide_a_key() -> None:
    scores, mask = np.array([-5.0, -5.0, -4.0, -6.0], "float32"), np.array([0.0, 1.0, 1.0, 1.0], "float32")
    assert softmax(scores * mask)[0] > 0.95, "hiding the key gave it nearly all the weight"
    assert softmax(scores)[0] == pytest.approx(0.197, abs=0.001)
    assert softmax(scores + LogVisibility()(mask).numpy())[0] < 1e-4


def test_what_a_hidden_place_holds_reaches_no_other_place() -> None:
    layer, x, _ = prepared()
    # A mask that sees the first channel at the place itself: hidden where it is low.
    kernel1, kernel2 = np.zeros((3, 3, 12, 8), "float32"), np.zeros((3, 3, 8, 1), "float32")
    kernel1[1, 1, 0, 0], kernel2[1, 1, 0, 0] = 1.0, 40.0
    layer.mask.conv1.set_weights([kernel1, np.zeros(8)])
    layer.mask.conv2.set_weights([kernel2, np.full(1, -20.0)])
    x[..., 0] = 1.0
    x[:, 2, 1, 0] = 0.0
    changed = x.copy()
    changed[:, 2, 1, 1:] += 1.0
    (before, mask), (after, _) = layer(x), layer(changed)
    assert mask.numpy()[:, 2, 1].max() < 1e-6 and np.delete(mask.numpy().reshape(3, -1), 9, 1).min() > 0.999
    others = np.delete(np.abs(after.numpy() - before.numpy()).reshape(3, -1, 12), 9, axis=1)
    x[:, 2, 1, 0] = changed[:, 2, 1, 0] = 1.0  # the same change in the open, for comparison
    open_ = np.abs(layer(changed)[0].numpy() - layer(x)[0].numpy()).reshape(3, -1, 12)
    assert others.max() < 0.005 * np.delete(open_, 9, axis=1).max()


def test_starts_with_everything_visible() -> None:
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 32)).astype("float32")
    features, mask = OcclusionAttention()(x)
    assert 0.5 < mask.numpy().mean() < 0.97
    assert np.corrcoef(features.numpy().ravel(), x.ravel())[0, 1] > 0.9


def test_a_resnet_has_the_mask_after_the_first_stage_of_256_places_or_fewer() -> None:
    small = build_model("resnet20", (28, 28, 1), 10, attention="occlusion")
    assert tuple(mask_of(small).shape) == (None, 14, 14, 1)
    # 32 channels: q, k, v, projection, gain; two 3×3 convolutions with 8 channels between them.
    attention = 3 * 32 * 33 + 32 * 33 + 32 + (9 * 32 * 8 + 8) + (9 * 8 + 1)
    plain = build_model("resnet20", (28, 28, 1), 10)
    added = sum(math.prod(m.shape) for m in small.trainable_weights)
    assert added - sum(math.prod(m.shape) for m in plain.trainable_weights) == attention
    pooled = build_model("resnet20", (32, 32, 1), 10, attention="occlusion", stem_pool=True)
    assert tuple(mask_of(pooled).shape) == (None, 16, 16, 1)
    photo = build_model("resnet18", (96, 96, 3), 10, attention="occlusion")
    assert tuple(mask_of(photo).shape) == (None, 12, 12, 1)
    large = build_model("resnet18", (640, 640, 3), 10, attention="occlusion")
    assert tuple(mask_of(large).shape) == (None, 20, 20, 1), "the last stage, small enough or not"
    with pytest.raises(InputError, match="0 occlusion-aware attentions, expected one"):
        mask_of(plain)


def test_heads_divide_the_channels() -> None:
    with pytest.raises(InputError, match="got 12 features for 5 heads"):
        OcclusionAttention(5).build((None, 4, 4, 12))
    with pytest.raises(InputError, match="expected a known size"):
        OcclusionAttention(4).build((None, None, None, 12))
