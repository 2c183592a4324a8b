"""Thresholds hold their rate, scores are their papers', and images are refused or told in words."""

import math

import numpy as np
import pytest
from scipy.stats import betabinom

from imgrec.errors import InputError
from imgrec.metrics.answers import softmax
from imgrec.unknown.detector import Detector, least, line
from imgrec.unknown.scores import SOURCES, Seen, energy, max_logit, max_probability

CLASSES, WIDTH = 4, 12


def seen(count: int, seed: int, away: float = 0.0) -> tuple[Seen, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    features = draw.normal(size=(count, WIDTH)).astype(np.float32)
    features[np.arange(count), labels] += 3
    features[:, -1] += away
    logits = 3 * features[:, :CLASSES]
    return Seen(softmax(logits).astype(np.float32), logits, features), labels


def fitted(validation: int = 999, rate: float = 0.05, seed: int = 1) -> Detector:
    train, labels = seen(800, 0)
    return Detector.fit(train, labels, seen(validation, seed)[0], rate)


def test_scores_are_their_formulas() -> None:
    logits = np.array([[2.0, -1.0, 0.5], [1000.0, 0.0, 0.0]])
    by_hand = -math.log(math.exp(2) + math.exp(-1) + math.exp(0.5))
    np.testing.assert_allclose(energy(logits), [by_hand, -1000.0])
    halved = -2 * math.log(math.exp(1) + math.exp(-0.5) + math.exp(0.25))
    np.testing.assert_allclose(energy(logits[:1], temperature=2.0), [halved])
    np.testing.assert_array_equal(max_logit(logits), [-2.0, -1000.0])
    np.testing.assert_allclose(max_probability(np.array([[0.7, 0.3]])), [0.3])


def test_shares_are_one_less_the_conformal_p_value() -> None:
    detector = fitted(validation=199)
    held = detector.validation["energy"]
    values = np.array([held[0] - 1, held[100], held[-1] + 1], np.float64)
    by_counting = [1 - (1 + int((held >= np.float32(v)).sum())) / (len(held) + 1) for v in values]
    np.testing.assert_allclose(detector.shares("energy", values), by_counting, atol=1e-12)
    assert np.array_equal(detector.alarms(np.array([0.94, 0.95, 0.99])), [False, True, True])


def test_on_images_of_the_same_kind_alarms_keep_their_rate_in_the_mean_and_in_their_interval() -> None:
    rates, inside = [], 0
    for seed in range(60):
        detector = fitted(validation=199, seed=100 + seed)
        new, _ = seen(400, 1000 + seed)
        alarms = sum(answer["unknown"] for answer in detector.told(new))
        low, high = detector.expected(400)
        inside += low <= alarms <= high
        rates.append(alarms / 400)
    # Of 60 means a spread of 5 % ± 0.3; at least 52 of 60 inside a 95 % interval.
    assert np.mean(rates) == pytest.approx(0.05, abs=0.01)
    assert inside >= 52
    assert fitted(validation=199).expected(400) == tuple(map(int, betabinom(400, 10, 190).interval(0.95)))


def test_images_that_are_moved_where_no_training_image_is_are_told_by_features_alone() -> None:
    detector = fitted()
    assert detector.chosen(seen(1, 0)[0]) == "either_mahalanobis"
    moved, _ = seen(50, 7, away=12.0)
    told = detector.told(moved)
    assert all(answer["unknown"] and answer["unknown_score"] >= 0.99 for answer in told)
    # The head does not look at that feature: by its answers they are like any other.
    blind = Seen(moved.scores)
    assert detector.chosen(blind) == "max_probability"
    assert np.mean([answer["unknown"] for answer in detector.told(blind)]) < 0.2
    assert line(told[0]).strip() == "unlike the training images" and line({"unknown": False}) == ""
    assert line({}) == ""


def test_every_score_is_there_in_the_order_of_the_table() -> None:
    detector = fitted()
    assert list(detector.validation) == list(SOURCES)
    assert list(detector.values(seen(3, 0)[0])) == list(SOURCES)
    train, labels = seen(100, 0)
    plain = Detector.fit(Seen(train.scores, train.logits), labels, Seen(train.scores, train.logits))
    assert plain.known is None and list(plain.validation) == ["energy", "max_logit", "max_probability"]
    assert list(plain.values(Seen(train.scores))) == ["max_probability"]


def test_nan_is_unknown() -> None:
    detector = fitted()
    one, _ = seen(1, 0)
    assert detector.told(Seen(one.scores, one.logits, one.features * np.nan))[0]["unknown"]


def test_too_few_validation_images_and_broken_answers_are_refused() -> None:
    assert (least(0.05), least(0.1), least(0.01)) == (19, 9, 99)
    train, labels = seen(80, 0)
    with pytest.raises(InputError, match="18 validation images give no threshold with 5 % false alarms, 19"):
        Detector.fit(train, labels, seen(18, 1)[0], 0.05)
    assert Detector.fit(train, labels, seen(19, 1)[0], 0.05).expected(100)[1] > 5
    assert train.logits is not None
    broken = Seen(train.scores, train.logits * np.inf, train.features)
    with pytest.raises(InputError, match="not finite"):
        Detector.fit(broken, labels, seen(40, 1)[0])
