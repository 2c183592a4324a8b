"""Class weights and logit adjustment: published forms, soft targets, and around any loss."""

import keras
import numpy as np
import pytest

from imgrec.losses import build_loss
from imgrec.losses.balance import ClassWeighted, LogitAdjusted, effective_number, inverse_frequency, log_prior

COUNTS = np.array([1000, 100, 10])
DRAW = np.random.default_rng(0)
LOGITS = DRAW.normal(0, 2, (30, 3)).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[DRAW.integers(0, 3, 30)]
PLAIN = keras.losses.CategoricalCrossentropy(from_logits=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def test_inverse_frequency_is_scikit_learn_s_balanced_weight() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat(np.arange(3), COUNTS)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(inverse_frequency(COUNTS), expected, rtol=1e-12)


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.999, 0.9999])
def test_effective_numbers_are_the_paper_s(beta: float) -> None:
    weights = effective_number(COUNTS, beta)
    # E_n = 1 + β E_(n-1), E_1 = 1 (the paper's proposition 1), counted rather than by the formula.
    expected = []
    for count in COUNTS:
        number = 0.0
        for _ in range(count):
            number = 1 + beta * number
        expected.append(1 / number)
    np.testing.assert_allclose(weights / weights[0], np.array(expected) / expected[0], rtol=1e-9)
    assert np.average(weights, weights=COUNTS) == pytest.approx(1)


def test_effective_number_lies_between_no_weights_and_inverse_frequency() -> None:
    np.testing.assert_array_equal(effective_number(COUNTS, 0.0), np.ones(3))
    np.testing.assert_allclose(effective_number(COUNTS, 1 - 1e-9), inverse_frequency(COUNTS), rtol=1e-5)


def test_weights_of_soft_targets_are_mixed_and_smoothing_does_not_move_them() -> None:
    weights, share = np.array([0.2, 1.0, 5.0]), 0.3
    mixed = (share * ONE_HOT + (1 - share) * ONE_HOT[::-1]).astype("float32")
    inner = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    smooth = 0.9 * mixed + 0.1 / 3
    expected = (mixed @ weights) * -(smooth * log_softmax(LOGITS)).sum(axis=1)
    np.testing.assert_allclose(ClassWeighted(inner, weights).call(mixed, LOGITS), expected, rtol=1e-5)


def test_weights_of_hard_targets_are_keras_s_sample_weights() -> None:
    weights = inverse_frequency(COUNTS)
    found = float(ClassWeighted(PLAIN, weights)(ONE_HOT, LOGITS))
    assert found == pytest.approx(float(PLAIN(ONE_HOT, LOGITS, sample_weight=ONE_HOT @ weights)), rel=1e-5)


def test_balanced_softmax_is_the_paper_s() -> None:
    # Ren et al., equation 3: p_j = n_j e^z_j / Σ n_i e^z_i.
    shares = COUNTS * np.exp(LOGITS.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = -np.log((shares * ONE_HOT).sum(axis=1))
    found = LogitAdjusted(PLAIN, log_prior(COUNTS)).call(ONE_HOT, LOGITS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_logit_adjustment_is_minimal_at_the_balanced_posterior() -> None:
    """One image seen as each class by likelihoods q: the best logits are log q, whatever the counts."""
    likelihood = np.array([0.2, 0.3, 0.5])
    posterior = likelihood * COUNTS / (likelihood * COUNTS).sum()
    loss = LogitAdjusted(PLAIN, log_prior(COUNTS))

    def value(logits: np.ndarray) -> float:
        return float(loss(posterior[None].astype("float32"), logits[None].astype("float32")))

    best = value(np.log(likelihood))
    for step in 0.05 * DRAW.normal(size=(20, 3)):
        assert value(np.log(likelihood) + step) >= best - 1e-7


def test_smoothing_with_adjusted_logits_prefers_no_class() -> None:
    """A smoothed label may not raise a rare class above another one: at its best all others stand alike."""
    share = COUNTS / COUNTS.sum()
    loss = LogitAdjusted(PLAIN, log_prior(COUNTS), label_smoothing=0.1)
    for label in range(3):
        target = np.eye(3)[label]
        # Cross-entropy is least where softmax(z + log π) is the target: 0.9 y + 0.1 π.
        best = np.log((0.9 * target + 0.1 * share) / share)
        others = np.delete(best, label)
        assert others[0] == pytest.approx(others[1]) and best[label] > others[0]
        least = -((0.9 * target + 0.1 * share) * np.log(0.9 * target + 0.1 * share)).sum()
        found = float(loss(target[None].astype("float32"), best[None].astype("float32")))
        assert found == pytest.approx(least, rel=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "binary_cross_entropy", "binary_focal"])
def test_they_go_around_any_loss_and_survive_saving(name: str) -> None:
    inner = build_loss(name, 0.1)
    loss = LogitAdjusted(ClassWeighted(inner, (1.0, 2.0, 3.0)), (0.5, 0.0, -0.5))
    assert loss.get_config()["label_smoothing"] == 0
    shifted = LOGITS + np.array([0.5, 0, -0.5], "float32")
    expected = (ONE_HOT @ [1, 2, 3]) * np.asarray(inner.call(ONE_HOT, shifted))
    np.testing.assert_allclose(loss.call(ONE_HOT, LOGITS), expected, rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(ONE_HOT, LOGITS)) == float(loss(ONE_HOT, LOGITS))
