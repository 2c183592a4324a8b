import json
import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, log_loss, top_k_accuracy_score

from imgrec.errors import InputError
from imgrec.metrics import single_label as metrics
from imgrec.metrics.answers import softmax
from imgrec.metrics.intervals import wilson_interval

CLASSES = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu"]


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 7, 400)
    logits = rng.normal(0, 2, (400, 7)).astype(np.float32)
    logits[np.arange(400), labels] += 2
    return logits, labels


def dense(figures: dict) -> list[list[int]]:
    matrix = np.zeros((len(figures["classes"]),) * 2, int)
    for label, predicted, images in figures["confusion"]:
        matrix[label, predicted] = images
    return matrix.tolist()


def test_figures_equal_scikit_learn_s(answers: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = answers
    figures = metrics.summarize(logits, labels, CLASSES)
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(1, keepdims=True)
    guesses = logits.argmax(1)
    assert figures["accuracy"] == (guesses == labels).mean()
    assert figures["top_k"] == 5
    assert figures["top_k_accuracy"] == pytest.approx(top_k_accuracy_score(labels, logits, k=5))
    assert figures["f1_macro"] == pytest.approx(f1_score(labels, guesses, average="macro"))
    assert figures["cross_entropy"] == pytest.approx(log_loss(labels, probabilities), rel=1e-9)
    assert dense(figures) == confusion_matrix(labels, guesses).tolist()
    assert [row["support"] for row in figures["per_class"]] == np.bincount(labels).tolist()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_by_hand() -> None:
    # Three cats, of which one is taken for a dog; one dog, found.
    logits = np.log(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]], np.float32))
    figures = metrics.summarize(logits, np.array([0, 0, 0, 1]), ["cat", "dog"], split="val")
    assert figures["confusion"] == [[0, 0, 2], [0, 1, 1], [1, 1, 1]]
    cat, dog = figures["per_class"]
    assert (cat["precision"], cat["recall"], cat["support"]) == (1.0, pytest.approx(2 / 3), 3)
    assert (dog["precision"], dog["recall"], dog["support"]) == (0.5, 1.0, 1)
    assert figures["f1_macro"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert figures["cross_entropy"] == pytest.approx(-math.log(0.9 * 0.6 * 0.2 * 0.7) / 4, rel=1e-6)
    # Each of the four confidences stands alone in its bin: |1-.9|, |1-.6|, |0-.8|, |1-.7|, a quarter each.
    assert figures["expected_calibration_error"] == pytest.approx((0.1 + 0.4 + 0.8 + 0.3) / 4, rel=1e-6)
    assert (figures["split"], figures["images"], figures["top_k"]) == ("val", 4, 2)


def test_head_medium_and_tail_by_hand() -> None:
    # Recalls: ant 1, bee ½, cat 0, dog ½. Training images 100, 90, 11 and 1: thirds at 21.5 and 4.6.
    labels = np.array([0, 1, 1, 2, 3, 3])
    logits = np.eye(4)[[0, 1, 0, 0, 3, 0]].astype(np.float32)
    figures = metrics.summarize(logits, labels, CLASSES[:4], train_counts=[100, 90, 11, 1])
    assert figures["balanced_accuracy"] == 0.5 == figures["recall_macro"]
    assert [(g["group"], g["accuracy"], g["images"], g["classes"]) for g in figures["by_frequency"]] == [
        ("head", 0.75, 3, ["ant", "bee"]),
        ("medium", 0.0, 1, ["cat"]),
        ("tail", 0.5, 2, ["dog"]),
    ]
    head = figures["by_frequency"][0]
    assert (head["fewest_training_images"], head["most_training_images"]) == (90, 100)
    even = metrics.summarize(logits, labels, CLASSES[:4], train_counts=[100, 90, 80, 51])
    assert "by_frequency" not in even and "balanced_accuracy" not in even


def test_a_group_without_test_images_has_no_accuracy() -> None:
    logits = np.eye(2)[[0, 0]].astype(np.float32)
    figures = metrics.summarize(logits, np.array([0, 0]), ["cat", "dog"], train_counts=[9, 1])
    assert [group["accuracy"] for group in figures["by_frequency"]] == [1.0, None]
    assert figures["balanced_accuracy"] == 1.0


def test_auc_counts_the_pairs_in_order() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 60)
    logits = rng.normal(0, 1, (60, 2)).round(1).astype(np.float32)
    logits[:, 1] += labels
    score = logits[:, 1].astype(float) - logits[:, 0]
    pairs = score[labels == 1][:, None] - score[labels == 0][None]
    by_hand = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert metrics.summarize(logits, labels, ["no", "yes"])["auc"] == pytest.approx(by_hand)
    assert metrics.auc(logits[:, ::-1], 1 - labels) == pytest.approx(by_hand)
    assert metrics.auc(logits, np.zeros(60, int)) is None
    assert "auc" not in metrics.summarize(np.eye(3, dtype=np.float32), np.arange(3), ["a", "b", "c"])


def test_calibration_error_weighs_bins_by_their_images() -> None:
    # Ten answers at 0.8: eight right is calibrated, four right is 0.4 off.
    rows = np.tile([0.8, 0.2], (10, 1))
    assert metrics.calibration_error(rows, np.array([0] * 8 + [1] * 2)) == pytest.approx(0.0, abs=1e-12)
    assert metrics.calibration_error(rows, np.array([0] * 4 + [1] * 6)) == pytest.approx(0.4)


def test_calibration_error_of_sure_and_right_answers_is_zero() -> None:
    assert metrics.calibration_error(np.eye(3), np.arange(3)) == 0.0


def test_wilson_interval_is_the_published_one() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for successes, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                         (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert wilson_interval(successes, trials) == pytest.approx([low, high], abs=5e-5)


def test_of_equal_logits_the_first_class_wins_everywhere() -> None:
    figures = metrics.summarize(np.zeros((7, 7), np.float32), np.arange(7), CLASSES)
    assert figures["accuracy"] == pytest.approx(1 / 7)
    assert figures["top_k_accuracy"] == pytest.approx(5 / 7)
    assert figures["confusion"] == [[label, 0, 1] for label in range(7)]


def test_cross_entropy_survives_an_underflowing_probability() -> None:
    logits = np.array([[0.0, 2000.0]], np.float32)
    assert metrics.summarize(logits, np.array([0]), ["a", "b"])["cross_entropy"] == 2000.0


def test_a_class_without_images_stays_out_of_the_macro_means() -> None:
    logits = np.array([[3, 0, 0], [0, 3, 0]], np.float32)
    figures = metrics.summarize(logits, np.array([0, 1]), ["a", "b", "absent"])
    assert figures["f1_macro"] == 1.0
    assert figures["per_class"][2] == {
        "label": "absent",
        "precision": 0.0,
        "recall": None,
        "f1": None,
        "support": 0,
    }


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (np.zeros((2, 3), np.float32), np.array([0, 1]), "2 classes"),
        (np.zeros((0, 2), np.float32), np.array([], int), "at least one image"),
        (np.zeros((2, 2), np.float32), np.array([0, 2]), "labels from 0 to 2"),
        (np.array([[0, 0], [0, np.nan]], np.float32), np.array([0, 1]), "1 of 2 images are not finite"),
    ],
)
def test_what_does_not_fit_is_refused(logits: np.ndarray, labels: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        metrics.summarize(logits, labels, ["a", "b"])


def test_confident_mistakes_are_the_surest_first(answers: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = answers
    ids = [f"{i}.png" for i in range(400)]
    wrong = int((logits.argmax(1) != labels).sum())
    found = metrics.confident_mistakes(ids, labels, logits, CLASSES, count=10_000)
    assert len(found) == wrong
    assert [m.probability for m in found] == sorted((m.probability for m in found), reverse=True)
    first = found[0]
    assert first.id == f"{first.index}.png"
    assert first.label == CLASSES[labels[first.index]] != first.predicted
    assert len(metrics.confident_mistakes(ids, labels, logits, CLASSES, count=5)) == 5


def test_predictions_are_a_row_an_image(answers: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = answers
    ids = ['a "quoted", name.png', "zwei\nZeilen.png", "caf\udce9.png", *(f"{i}" for i in range(397))]
    head, *lines = metrics.predictions(ids, labels, logits, CLASSES)
    rows = [dict(zip(head, line, strict=True)) for line in lines]
    assert [row["id"] for row in rows[:3]] == [ids[0], ids[1], r"caf\udce9.png"]
    assert len(rows) == 400
    assert sum(row["correct"] for row in rows) == (logits.argmax(1) == labels).sum()
    best = softmax(logits).max(1)
    np.testing.assert_allclose([float(row["probability"]) for row in rows], best, atol=1e-6)
    assert [row["label"] for row in rows] == [CLASSES[label] for label in labels]


def test_predictions_of_other_ids_are_refused(answers: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = answers
    with pytest.raises(InputError, match="2 ids for 400 labels"):
        metrics.predictions(["a", "b"], labels, logits, CLASSES)
