"""The layer in which an ensemble's members come together, against NumPy."""

import keras
import numpy as np
import pytest
from scipy.special import expit, log_softmax, logit, softmax

from imgrec.errors import InputError
from imgrec.layers.fusion import FLOOR, TIE, AnswerFusion
from imgrec.metrics import fusing

LOGITS = 3 * np.random.default_rng(0).normal(size=(3, 40, 5)).astype("float32")
"""Three members, forty images, five classes."""
GROUPED = softmax(LOGITS.astype("float64"), axis=2)
TOGETHER = np.stack([GROUPED[:2].mean(axis=0), GROUPED[2]])
"""The first two count as one."""


def fused(layer: AnswerFusion, *weights: np.ndarray) -> np.ndarray:
    layer.build([LOGITS.shape[1:]] * 3)
    layer.set_weights(list(weights))
    return keras.ops.convert_to_numpy(layer(list(LOGITS)))


def test_soft_voting_is_the_mean_probability() -> None:
    found = fused(AnswerFusion("soft", (2, 1)))
    np.testing.assert_allclose(softmax(found, axis=1), TOGETHER.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)  # they are log-probabilities


def test_weights_are_those_of_the_groups() -> None:
    shares = np.array([0.7, 0.3], "float32")
    found = fused(AnswerFusion("weighted", (2, 1)), shares)
    np.testing.assert_allclose(softmax(found, axis=1), np.tensordot(shares, TOGETHER, 1), atol=1e-6)


def test_hard_voting_counts_votes_and_the_mean_parts_ties() -> None:
    found = softmax(fused(AnswerFusion("hard", (1, 1, 1))), axis=1)
    votes = np.eye(5)[GROUPED.argmax(axis=2)].mean(axis=0)
    mean = GROUPED.mean(axis=0)
    np.testing.assert_allclose(found, (votes + TIE * mean) / (1 + TIE), atol=1e-6)
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    assert tied.any() and not tied.all()
    best = np.where(votes == votes.max(axis=1, keepdims=True), mean, -1)
    assert (found.argmax(axis=1) == best.argmax(axis=1)).all()


def test_stacking_is_a_linear_map_of_log_probabilities() -> None:
    draw = np.random.default_rng(1)
    kernel, bias = draw.normal(size=(10, 5)).astype("float32"), draw.normal(size=5).astype("float32")
    found = fused(AnswerFusion("stacking", (2, 1)), kernel, bias)
    known = np.concatenate(list(np.log(np.maximum(TOGETHER, FLOOR))), axis=1)
    np.testing.assert_allclose(found, known @ kernel + bias, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(known, fusing.features(TOGETHER))


def test_labels_of_their_own_are_averaged_one_by_one() -> None:
    soft = fused(AnswerFusion("soft", (2, 1), "sigmoid"))
    each = expit(LOGITS.astype("float64"))
    together = np.stack([each[:2].mean(axis=0), each[2]])
    np.testing.assert_allclose(soft, logit(together.mean(axis=0)), rtol=1e-4, atol=1e-4)
    hard = expit(fused(AnswerFusion("hard", (1, 1, 1), "sigmoid")))
    assert ((hard > 0.5) == ((each > 0.5).sum(axis=0) >= 2)).all()


def test_what_is_surer_than_numbers_can_say_stays_finite() -> None:
    far = [np.array([[900.0, -900.0, 0.0]], "float32")] * 2
    for how, activation in (("soft", "softmax"), ("hard", "softmax"), ("soft", "sigmoid")):
        found = keras.ops.convert_to_numpy(AnswerFusion(how, (1, 1), activation)(far))
        assert np.isfinite(found).all() and found[0, 0] == found.max() and found[0, 1] == found.min()
    np.testing.assert_allclose(log_softmax(far[0])[0, 0], 0)


def test_the_floor_is_one_number() -> None:
    assert FLOOR == fusing.FLOOR


def test_it_is_rebuilt_from_its_config() -> None:
    layer = AnswerFusion("weighted", (2, 1), "sigmoid", name="logits")
    again = AnswerFusion.from_config(layer.get_config())
    assert (again.how, again.groups, again.activation, again.name) == (
        "weighted",
        (2, 1),
        "sigmoid",
        "logits",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "loud"}, "how='loud', expected soft or hard or weighted or stacking"),
        ({"activation": "tanh"}, "activation='tanh'"),
        ({"groups": (0, 2)}, "expected numbers of members from 1"),
        ({"how": "stacking", "activation": "sigmoid"}, "stacking answers one class an image"),
    ],
)
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AnswerFusion(**options)


def test_groups_must_hold_the_members() -> None:
    with pytest.raises(InputError, match=r"3 members in groups of \[1, 1\]"):
        AnswerFusion("soft", (1, 1)).build([(None, 5)] * 3)
