"""Temperature and vector scaling: scikit-learn's and SciPy's results, and what they were made with."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import binom
from scored import GivenLogits, drawn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from imgrec.metrics import scaling
from imgrec.metrics.answers import softmax

LOGITS, LABELS = drawn(1500, heat=2.5)
TRUTH = np.eye(6)[LABELS]


def test_temperature_is_scikit_learns() -> None:
    model = GivenLogits(6, logits=True).fit(LOGITS, LABELS)
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(LOGITS, LABELS)
    fit, _ = scaling.temperature(LOGITS, TRUTH, exclusive=True)
    assert softmax(fit(LOGITS)) == pytest.approx(theirs.predict_proba(LOGITS), abs=2e-4)


def test_temperature_is_the_minimum() -> None:
    fit, interval = scaling.temperature(LOGITS, TRUTH, exclusive=True)
    found = 1 / float(fit.factor[0])
    best = minimize_scalar(
        lambda t: scaling.losses(LOGITS / t, TRUTH, True).mean(),
        bounds=(0.1, 10),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found == pytest.approx(best.x, rel=1e-4)
    assert interval[0] < found < interval[1]
    # The likelihood falls by the same at both ends: 1.92 nats in all.
    ends = [scaling.losses(LOGITS / end, TRUTH, True).sum() for end in interval]
    assert ends == pytest.approx([1500 * best.fun + 1.92] * 2, abs=0.25)


def test_the_interval_holds_the_temperature_that_heated_the_logits() -> None:
    held = 0
    for seed in range(60):
        logits, labels = drawn(300, heat=2.5, seed=seed)
        low, high = scaling.temperature(logits, np.eye(6)[labels], exclusive=True)[1]
        held += low < 2.5 < high
    assert held >= binom.ppf(0.001, 60, 0.95)


def test_temperature_changes_no_answer_and_lowers_the_loss() -> None:
    fit, _ = scaling.temperature(LOGITS, TRUTH, exclusive=True)
    assert (fit(LOGITS).argmax(axis=1) == LOGITS.argmax(axis=1)).all()
    fresh, labels = drawn(1500, heat=2.5, seed=9)
    truth = np.eye(6)[labels]
    assert scaling.losses(fit(fresh), truth, True).mean() < scaling.losses(fresh, truth, True).mean() - 0.1


def test_several_labels_share_a_temperature() -> None:
    draw = np.random.default_rng(4)
    logits = draw.normal(0, 2, (800, 4))
    truth = (draw.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    fit, interval = scaling.temperature(0.5 * logits, truth, exclusive=False)
    assert interval[0] < 0.5 < interval[1]
    assert ((fit(0.5 * logits) > 0) == (logits > 0)).all()


def test_vector_is_the_minimum_of_another_optimiser() -> None:
    factor, shift = np.array([0.5, 1.0, 2.0, 1.0, 1.5, 0.8]), np.array([0.5, -1.0, 0.0, 0.3, 0.2, 0.0])
    warped = (LOGITS / 2.5 - shift) / factor
    fit = scaling.vector(warped, TRUTH, exclusive=True)

    def loss(both: np.ndarray) -> float:
        return float(scaling.losses(warped * both[:6] + both[6:], TRUTH, True).mean())

    other = minimize(loss, np.r_[np.ones(6), np.zeros(6)], method="BFGS", options={"gtol": 1e-7})
    assert loss(np.r_[fit.factor, fit.shift]) == pytest.approx(other.fun, abs=1e-6)
    assert fit.factor == pytest.approx(other.x[:6], abs=0.01)
    assert fit.shift.mean() == pytest.approx(0, abs=1e-9)
    gain, error = scaling.gain(warped, TRUTH, True, seed=0)
    assert gain > 3 * error > 0


def test_a_vector_is_no_gain_where_there_is_nothing_to_find() -> None:
    gain, error = scaling.gain(LOGITS[:300], TRUTH[:300], True, seed=0)
    assert gain < 1.96 * error
