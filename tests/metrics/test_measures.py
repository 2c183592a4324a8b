"""Every figure against scikit-learn, and its interval against what it promises, on made answers."""

import numpy as np
import pytest
from sklearn import metrics

from imgrec.errors import InputError
from imgrec.metrics import bootstrap, multi_measures, single_measures
from imgrec.metrics.answers import sigmoid, softmax
from imgrec.metrics.counted import count_labels, kappa, matthews
from imgrec.metrics.ranking import GRID, areas, curves


def single(images: int, classes: int = 4, skill: float = 1.5, seed: int = 0):
    """Labels and probabilities float32, with ties among the latter."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), labels] += skill
    return labels, softmax(np.round(logits, 1)).astype(np.float32)


def several(images: int, seed: int = 0):
    """Labels 0 and 1 of four classes from frequent to rare, and probabilities."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, 4)) < (0.6, 0.3, 0.2, 0.1)).astype(np.float32)
    return labels, sigmoid(rng.normal(size=labels.shape) + 2 * labels - 1).astype(np.float32)


NAMES = ["a", "b", "c", "d"]


def test_single_label_figures_equal_scikit_learns():
    labels, scores = single(500)
    found = single_measures.measure(scores, labels, NAMES)
    said = scores.argmax(axis=1)
    value = {name: figure.value for name, figure in found.overall.items()}
    expected = {
        "accuracy": metrics.accuracy_score(labels, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, said),
        "cohen_kappa": metrics.cohen_kappa_score(labels, said),
        "matthews": metrics.matthews_corrcoef(labels, said),
        "auc_macro": metrics.roc_auc_score(labels, scores, multi_class="ovr", average="macro"),
        "average_precision_macro": metrics.average_precision_score(labels, scores, average="macro"),
        "log_loss": metrics.log_loss(labels, scores),
        "brier": metrics.brier_score_loss(labels, scores),
    }
    for average in ("macro", "weighted"):
        expected[f"precision_{average}"] = metrics.precision_score(labels, said, average=average)
        expected[f"recall_{average}"] = metrics.recall_score(labels, said, average=average)
        expected[f"f1_{average}"] = metrics.f1_score(labels, said, average=average)
    assert value == pytest.approx(expected, abs=1e-6)
    for k, row in enumerate(found.classes):
        assert row["auc"].value == pytest.approx(metrics.roc_auc_score(labels == k, scores[:, k]))
        assert row["f1"].value == pytest.approx(metrics.f1_score(labels == k, said == k))
        assert row["precision"].value == pytest.approx(metrics.precision_score(labels == k, said == k))
    for figure in (*found.overall.values(), *(figure for row in found.classes for figure in row.values())):
        assert figure.gap is None and figure.interval_95[0] < figure.value < figure.interval_95[1]


def test_of_six_classes_or_more_there_is_top_5_and_of_two_the_halved_brier_score():
    labels, scores = single(300, classes=8, skill=0.5)
    found = single_measures.measure(scores, labels, list("abcdefgh")).overall["top_5_accuracy"]
    assert found.value == pytest.approx(metrics.top_k_accuracy_score(labels, scores, k=5), abs=0.02)
    labels, scores = single(300, classes=2, skill=1)
    found = single_measures.measure(scores, labels, ["a", "b"]).overall
    assert found["brier"].value == pytest.approx(metrics.brier_score_loss(labels, scores[:, 1]), abs=1e-6)
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(labels, scores), abs=1e-6)
    assert "top_5_accuracy" not in found


def test_multi_label_figures_equal_scikit_learns():
    labels, scores = several(600)
    found = multi_measures.measure(scores, labels, NAMES, validation=several(400, 1)[::-1])
    said = scores > 0.5
    value = {name: figure.value for name, figure in found.overall.items()}
    expected = {
        "exact_match": metrics.accuracy_score(labels, said),
        "hamming_loss": metrics.hamming_loss(labels, said),
        "auc_macro": metrics.roc_auc_score(labels, scores),
        "average_precision_macro": metrics.average_precision_score(labels, scores),
        "log_loss": np.mean([metrics.log_loss(labels[:, k], scores[:, k]) for k in range(4)]),
        "brier": np.mean([metrics.brier_score_loss(labels[:, k], scores[:, k]) for k in range(4)]),
    }
    at = np.array([each.value for each in found.thresholds])
    for average in ("micro", "macro", "weighted"):
        expected[f"precision_{average}"] = metrics.precision_score(labels, said, average=average)
        expected[f"recall_{average}"] = metrics.recall_score(labels, said, average=average)
        expected[f"f1_{average}"] = metrics.f1_score(labels, said, average=average)
        if average != "weighted":
            expected[f"f1_{average}_tuned"] = metrics.f1_score(labels, scores > at, average=average)
    assert value == pytest.approx(expected, abs=1e-6)
    assert all(figure.interval_95 for figure in found.overall.values())
    assert found.overall["f1_macro_tuned"].value > found.overall["f1_macro"].value


def test_thresholds_are_those_of_the_highest_f1_on_validation_and_have_a_width():
    labels, scores = several(400, 1)
    for k, each in enumerate(multi_measures.tune(scores, labels, NAMES)):
        precision, recall, _ = metrics.precision_recall_curve(labels[:, k], scores[:, k])
        best = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
        assert metrics.f1_score(labels[:, k], scores[:, k] > each.value) == pytest.approx(best)
        assert each.interval_95[0] <= each.value <= each.interval_95[1]
        assert each.interval_95[0] < each.interval_95[1]
    few = multi_measures.tune(scores[:40], labels[:40], NAMES)
    assert few[3].value is None and few[3].used == 0.5 and "too few" in str(few[3].gap)


def test_areas_of_weighted_images_equal_scikit_learns():
    labels, scores = single(200)
    weights = bootstrap.draws(200, most=200)
    assert np.array_equal(weights.sum(axis=0), np.full(weights.shape[1], 200))
    assert weights[:, :1].max() > 1 and np.array_equal(weights, bootstrap.draws(200, most=200))
    mine, held = scores[:, 1], labels == 1
    auc, average = areas(mine, held, weights)
    counts = count_labels(labels, scores.argmax(axis=1), 4, weights)
    for b in range(0, 200, 40):
        column, said = weights[:, b], scores.argmax(axis=1)
        assert auc[b] == pytest.approx(metrics.roc_auc_score(held, mine, sample_weight=column))
        assert average[b] == pytest.approx(metrics.average_precision_score(held, mine, sample_weight=column))
        agreement = metrics.cohen_kappa_score(labels, said, sample_weight=column)
        assert kappa(counts)[b] == pytest.approx(agreement)
        correlation = metrics.matthews_corrcoef(labels, said, sample_weight=column)
        assert matthews(counts)[b] == pytest.approx(correlation)
    alone = np.zeros((200, 2), np.float32)
    alone[~held, 0], alone[held, 1] = 1, 1
    assert np.isnan(areas(mine, held, alone).auc).all(), "no image of the class, and no other"


def test_curves_equal_scikit_learns():
    labels, scores = single(150, skill=0.8)
    mine, held = scores[:, 2], labels == 2
    roc, precision = (line[:, 0] for line in curves(mine, held, np.ones((150, 1), np.float32)))
    fpr, tpr, _ = metrics.roc_curve(held, mine, drop_intermediate=False)
    assert roc == pytest.approx(np.interp(GRID, fpr, tpr))
    shares, recalls, _ = metrics.precision_recall_curve(held, mine)
    highest = [shares[np.flatnonzero(recalls >= level - 1e-9)[-1]] for level in GRID[1:]]
    assert precision[1:] == pytest.approx(highest)


def test_areas_have_intervals_that_hold_the_truth():
    """Of 300 sets of 40 images, two classes, scores 1.5 deviations apart: AUC Φ(1.5 / √2) = .8556."""
    hit = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        held = rng.random(40) < 0.5
        scores = rng.normal(size=40) + 1.5 * held
        found = areas(
            scores, held, np.hstack([np.ones((40, 1)), bootstrap.draws(40, seed=seed, most=200)])
        ).auc
        low, high = bootstrap.interval(float(found[0]), found[1:], 40)
        hit += low <= 0.8556 <= high
    assert 0.92 <= hit / 300 <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize(("images", "skill"), [(27, 1.2), (200, 2.5)])
def test_intervals_hold_the_truth_as_often_as_they_promise(images, skill):
    """Of 150 drawn test sets, the intervals that are given hold the figure of 40,000 images 90 % or more."""
    names = ["a", "b", "c"]
    truth = single_measures.measure(*single(40_000, 3, skill, seed=1)[::-1], names).overall
    hit, given = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for seed in range(2, 152):
        for name, figure in single_measures.measure(
            *single(images, 3, skill, seed)[::-1], names
        ).overall.items():
            if figure.interval_95 is not None:
                low, high = figure.interval_95
                given[name] += 1
                hit[name] += low <= truth[name].value <= high
    assert min(given.values()) >= 100
    shares = {name: hit[name] / given[name] for name in hit}
    assert min(shares.values()) >= 0.90, shares
    assert 0.93 <= np.mean(list(shares.values())) <= 0.985, shares


def test_few_images_are_said_and_no_interval_has_no_width():
    labels, scores = single(27, 3, skill=1.2)
    found = single_measures.measure(scores, labels, ["a", "b", "c"])
    held = [*found.overall.values(), *(figure for row in found.classes for figure in row.values())]
    assert len(held) == 14 + 3 * 5
    for figure in held:
        assert (figure.interval_95 is None) == (figure.gap is not None)
        assert figure.interval_95 is None or figure.interval_95[0] < figure.interval_95[1]
    perfect = np.eye(3, dtype=np.float32)[labels] * 0.8 + np.float32(0.2 / 3)
    found = single_measures.measure(perfect, labels, ["a", "b", "c"])
    assert found.overall["accuracy"].interval_95 == [pytest.approx(0.8754, abs=1e-3), 1.0]
    assert str(found.overall["f1_macro"].gap) == "0 wrong answers: too few for an interval"
    assert str(found.overall["auc_macro"].gap) == "no two draws of the images differ: no interval"


def test_absent_classes_are_gaps_and_stay_out_of_means():
    labels, scores = single(200)
    labels = np.where(labels == 3, 0, labels)
    found = single_measures.measure(scores, labels, NAMES)
    assert {str(found.classes[3][name].gap) for name in ("recall", "f1", "auc", "average_precision")} == {
        "no image of this class"
    }
    assert found.classes[3]["auc"].value is None
    three = [metrics.roc_auc_score(labels == k, scores[:, k]) for k in range(3)]
    assert found.overall["auc_macro"].value == pytest.approx(np.mean(three))
    one = single_measures.measure(scores[labels == 1], labels[labels == 1], NAMES).overall
    assert (
        one["cohen_kappa"].value is None and str(one["cohen_kappa"].gap) == "the images are of one class only"
    )
    assert one["auc_macro"].value is None
    marks = np.zeros((100, 4), np.float32)
    marks[:, 1] = 1
    rows = multi_measures.measure(several(100)[1], marks, NAMES)
    assert str(rows.classes[0]["auc"].gap) == "no image of this class"
    assert str(rows.classes[1]["auc"].gap) == "every image is of this class"
    assert str(rows.overall["f1_macro_tuned"].gap) == "no validation answers to tune a threshold on"


def test_a_class_of_few_images_refuses_the_intervals_of_means():
    labels, scores = single(200)
    labels[np.flatnonzero(labels == 2)[3:]] = 0
    found = single_measures.measure(scores, labels, NAMES)
    assert str(found.overall["balanced_accuracy"].gap) == "a class has 3 images: too few for an interval"
    assert str(found.classes[2]["auc"].gap) == "3 images: too few for an interval"
    assert found.overall["accuracy"].interval_95 and found.overall["log_loss"].interval_95


def test_wrong_answers_are_refused():
    labels, scores = single(20)
    with pytest.raises(InputError, match="expected"):
        single_measures.measure(scores, labels, ["a", "b"])
    with pytest.raises(InputError, match="at least one image"):
        single_measures.measure(scores[:0], labels[:0], NAMES)
    scores[3, 1] = np.nan
    with pytest.raises(InputError, match="1 of 20 images are not finite"):
        single_measures.measure(scores, labels, NAMES)
