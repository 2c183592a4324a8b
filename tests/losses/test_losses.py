"""Losses by name: what is known, what is refused, and one of one's own."""

import json
from typing import Any

import keras
import numpy as np
import pytest

from imgrec import losses
from imgrec.errors import InputError
from imgrec.losses import LOSSES, build_embedding_loss, build_loss

TARGETS = np.eye(3, dtype="float32")
LOGITS = np.random.default_rng(0).normal(0, 1, (3, 3)).astype("float32")


def test_every_loss_of_the_table_gives_a_figure_an_image() -> None:
    for name in LOSSES:
        found = np.asarray(build_loss(name, 0.1).call(TARGETS, LOGITS))
        assert found.shape == (3,) and (found > 0).all(), name


def test_cross_entropy_is_keras_s_own() -> None:
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(TARGETS, LOGITS)
    assert float(build_loss("cross_entropy", 0.1)(TARGETS, LOGITS)) == float(expected)


def test_options_arrive() -> None:
    assert build_loss("focal", 0.2, {"gamma": 3}).get_config() == {
        "gamma": 3.0,
        "label_smoothing": 0.2,
        "name": "focal",
    }
    assert build_embedding_loss("triplet", {"margin": "soft"}).margin == "soft"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("focale", {}, "unknown loss 'focale': did you mean focal or binary_focal? known: binary_cross_ent"),
        ("focal", {"gama": 2}, "unknown option of loss focal 'gama': did you mean gamma? known: gamma"),
        ("focal", {"label_smoothing": 0.1}, "unknown option of loss focal 'label_smoothing'"),
        ("cross_entropy", {"gamma": 2}, "loss 'cross_entropy' takes no options, got 'gamma'"),
        ("focal", {"gamma": -1}, "gamma=-1: expected 0 or more"),
        ("focal", {"gamma": "two"}, "gamma='two': expected 0 or more"),
        ("binary_focal", {"alpha": 1.5}, "alpha=1.5: expected a number from 0 to 1"),
    ],
)
def test_what_is_unknown_is_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        build_loss(name, 0.0, options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("triple", {}, "unknown embedding loss 'triple': did you mean triplet?"),
        ("triplet", {"mining": "easy"}, "mining='easy': expected hard or semi_hard"),
        ("triplet", {"margin": -0.1}, "margin=-0.1: expected 0 or more"),
        ("supcon", {"temperature": 0}, "temperature=0: expected 0.001 or more"),
    ],
)
def test_what_is_unknown_of_embeddings_is_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        build_embedding_loss(name, options)
    assert message in str(caught.value)


def test_a_loss_of_one_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Squared(keras.losses.Loss):
        def __init__(self, label_smoothing: float, scale: float = 1.0) -> None:
            super().__init__()
            self.scale = scale

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self.scale * keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

    monkeypatch.setitem(losses.LOSSES, "squared", Squared)
    found = build_loss("squared", 0.0, json.loads('{"scale": 2.0}')).call(TARGETS, LOGITS)
    np.testing.assert_allclose(found, 2 * ((TARGETS - LOGITS) ** 2).mean(axis=1), rtol=1e-6)
