"""A model beside one answer for every image and beside a quick model."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest

from imgrec.errors import InputError
from imgrec.metrics import baseline
from imgrec.metrics.baseline import Quick, Standing
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.paired import mcnemar

LABELS = np.repeat([0, 1, 2], [12, 9, 6])  # 27 images; always 0: 12 of 27
ALWAYS = ("food", LABELS == 0)


def answering(predicted: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda order: np.asarray(predicted[order] == LABELS)


def some(wrong: int) -> np.ndarray:
    """Predictions of which the last so many images have another class."""
    predicted = LABELS.copy()
    predicted[len(LABELS) - wrong :] += 1
    return predicted % 3


def standing(predicted: np.ndarray, quick: np.ndarray | None = None) -> Standing:
    rival = None if quick is None else Quick("logistic regression on features", quick == LABELS)
    return baseline.stand(answering(predicted), 27, ALWAYS, rival)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_model_that_learned_is_better_and_says_by_how_much() -> None:
    found = standing(some(4), some(3))
    assert found.accuracy == 23 / 27 and found.accuracy_interval_95 == wilson_interval(23, 27)
    always, quick = found.baselines["largest_class"], found.baselines["quick"]
    assert (always.accuracy, always.accuracy_interval_95) == (12 / 27, wilson_interval(12, 27))
    assert always.p_value == pytest.approx(binomtest(23, 27, 12 / 27, alternative="greater").pvalue)
    assert (always.verdict, quick.verdict) == ("better", "no better") and not found.by_chance
    assert quick.p_value == mcnemar(0, 1) == 1.0 and quick.difference == pytest.approx(-1 / 27)
    assert plain(found.line()) == (
        "test accuracy 85.2 % (68 to 94) · always 'food': 44.4 % · logistic regression on features: 88.9 %"
    )
    assert plain(found.sentence) == (
        "the model is better than always 'food' by 40.7 points (p < 0.001); "
        "no better than logistic regression on features (88.9 %)"
    )
    held = found.record()
    assert held["baselines"]["largest_class"]["name"] == "always 'food'" and held["by_chance"] is False


def test_a_model_that_says_one_class_answers_by_chance() -> None:
    found = standing(np.zeros(27, int))
    assert found.by_chance and found.baselines["largest_class"].verdict == "no better"
    assert plain(found.sentence) == "the model is no better than always 'food' (44.4 %)"
    other = standing(np.full(27, 1))  # a smaller class for every image
    assert other.by_chance and other.accuracy == 9 / 27


def test_guesses_answer_by_chance() -> None:
    draw = np.random.default_rng(0)
    found = [standing(draw.permutation(LABELS)) for _ in range(40)]
    assert np.mean([each.by_chance for each in found]) >= 0.9


def test_rare_classes_found_are_no_chance_even_where_accuracy_is_no_better() -> None:
    """Of 95 and 5, all five are found, with six false alarms: less accurate than always the larger."""
    labels = np.repeat([0, 1], [95, 5])
    predicted = np.repeat([1, 0, 1], [6, 89, 5])
    found = baseline.stand(lambda order: predicted[order] == labels, 100, ("sound", labels == 0))
    assert found.baselines["largest_class"].verdict == "no better" and not found.by_chance


def test_a_difference_that_may_be_luck_is_called_so() -> None:
    found = standing(np.array([0] * 12 + [1] * 2 + [0] * 13))  # two more than always 0
    always = found.baselines["largest_class"]
    assert always.verdict == "no better" and always.difference == pytest.approx(2 / 27)
    assert found.sentence == (
        "the model is not shown to be better than always 'food' "
        "(7.4 points on 27 images may be luck, p = 0.279)"
    )


def test_worse_than_the_quick_model() -> None:
    found = standing(some(12), some(0)).baselines["quick"]
    assert found.sentence == "worse than logistic regression on features by 44.4 points (p < 0.001)"
    with pytest.raises(InputError, match="same images"):
        baseline.stand(answering(LABELS), 27, None, Quick("other", np.ones(5, bool)))


def test_without_baselines_there_is_the_accuracy() -> None:
    found = baseline.stand(answering(some(4)), 27)
    assert plain(found.line("val", "exact match")) == "val exact match 85.2 % (68 to 94)"
    assert found.sentence == "" and found.record() == {} and not found.by_chance
