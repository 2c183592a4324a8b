"""Calibration error, log loss and Brier score against plain implementations and scikit-learn's."""

import numpy as np
import pytest
from scored import drawn
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from imgrec.metrics import reliability
from imgrec.metrics.answers import softmax
from imgrec.metrics.single_label import calibration_error

LOGITS, LABELS = drawn(900, heat=1.7)
SCORES = softmax(LOGITS).astype(np.float32)
SURE, HIT = SCORES.max(axis=1), SCORES.argmax(axis=1) == LABELS


def plain_error(sure: np.ndarray, hit: np.ndarray, bins: int) -> float:
    """Bin by bin, as Guo et al. write it."""
    total = 0.0
    for number in range(bins):
        inside = [k for k, s in enumerate(sure) if number / bins < s <= (number + 1) / bins]
        if inside:
            right, meant = np.mean([hit[k] for k in inside]), np.mean([float(sure[k]) for k in inside])
            total += len(inside) / len(sure) * abs(right - meant)
    return total


def test_error_of_equal_width_is_the_plain_one() -> None:
    for bins in (1, 10, 15):
        assert reliability.error(SURE, HIT, bins) == pytest.approx(plain_error(SURE, HIT, bins), abs=1e-9)
    assert reliability.error(SURE, HIT) == pytest.approx(calibration_error(SCORES, LABELS), abs=1e-7)


def test_error_of_equal_counts_is_the_plain_one() -> None:
    order = sorted(range(len(SURE)), key=lambda k: SURE[k])
    parts = [order[k * 60 : (k + 1) * 60] for k in range(15)]
    wanted = sum(60 / 900 * abs(np.mean(HIT[part]) - np.mean(SURE[part], dtype=float)) for part in parts)
    assert reliability.error(SURE, HIT, mass=True) == pytest.approx(wanted, abs=1e-9)


def test_the_diagram_is_scikit_learns_curve() -> None:
    rows = reliability.table(SURE, HIT)
    hits, sureness = calibration_curve(HIT, SURE, n_bins=15)
    assert [row.hits for row in rows] == pytest.approx(hits.tolist(), abs=1e-9)
    assert [row.sureness for row in rows] == pytest.approx(sureness.tolist(), abs=1e-6)
    assert sum(row.count for row in rows) == 900
    assert all(row.interval[0] - 1e-9 <= row.hits <= row.interval[1] + 1e-9 for row in rows)
    error = sum(row.count / 900 * abs(row.hits - row.sureness) for row in rows)
    assert reliability.error(SURE, HIT) == pytest.approx(error, abs=1e-9)


def test_log_loss_and_brier_are_scikit_learns() -> None:
    truth = np.eye(6)[LABELS]
    ours = reliability.log_losses(SCORES, truth, exclusive=True).mean()
    assert ours == pytest.approx(log_loss(LABELS, SCORES, labels=range(6)), rel=1e-6)
    one = np.r_[SCORES[:, 0]]
    hot = (LABELS == 0).astype(float)
    single = reliability.briers(one[:, None], hot[:, None], exclusive=False).mean()
    assert single == pytest.approx(brier_score_loss(hot, one), rel=1e-6)
    every = [brier_score_loss((k == LABELS).astype(float), SCORES[:, k]) for k in range(6)]
    assert reliability.briers(SCORES, truth, exclusive=True).mean() == pytest.approx(sum(every), rel=1e-5)


def test_perfect_probabilities_lie_below_the_unavoidable_error() -> None:
    """Labels drawn by the probabilities themselves: of 20 sets 1 or so may lie above."""
    above = 0
    for seed in range(20):
        scores = softmax(drawn(400, seed=seed)[0])
        labels = drawn(400, seed=seed)[1]
        sure = scores.max(axis=1)
        mean, most = reliability.unavoidable(sure)
        found = reliability.error(sure, scores.argmax(axis=1) == labels)
        above += found > most
        assert 0.01 < mean < most < 0.12
    assert above <= 3
    assert reliability.error(SURE, HIT) > reliability.unavoidable(SURE)[1]


def test_intervals_hold_what_they_are_of() -> None:
    low, high = reliability.interval(SURE, HIT)
    assert low < reliability.error(SURE, HIT) < high
    few = reliability.interval(SURE[:60], HIT[:60])
    assert few[1] - few[0] > high - low
    several = reliability.interval(SCORES, np.eye(6)[LABELS] > 0.5)
    assert several[0] < reliability.error(SCORES.ravel(), (np.eye(6)[LABELS] > 0.5).ravel()) < several[1]
    ends = reliability.mean_interval(np.array([1.0, 2.0, 3.0, 4.0]))
    assert ends == pytest.approx([2.5 - 3.182446 * 0.6454972, 2.5 + 3.182446 * 0.6454972], abs=1e-5)
