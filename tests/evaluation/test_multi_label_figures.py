"""Figures of multi-label answers, against scikit-learn, Keras and counting by hand."""

import keras
import numpy as np
import pytest
from sklearn import metrics as reference

from imgrec.errors import InputError
from imgrec.metrics.answers import sigmoid
from imgrec.metrics.epoch import ExactMatch, MicroF1
from imgrec.metrics.multi_label import confident_mistakes, predictions, summarize

CLASSES = ("cat", "dog", "fog", "ghost")


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Logits float32 `[200, 4]` and labels that they know something of; nothing has the last label."""
    draw = np.random.default_rng(0)
    labels = (draw.random((200, 4)) < (0.5, 0.3, 0.1, 0)).astype(np.float32)
    return (draw.normal(0, 1.5, (200, 4)) + 2 * labels - 1).astype(np.float32), labels


def test_figures_are_scikit_learn_s(answers: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = answers
    said, found = (logits > 0).astype(int), summarize(logits, labels, CLASSES)
    present = labels[:, :3]
    assert found["mean_average_precision"] == pytest.approx(
        reference.average_precision_score(present, logits[:, :3], average="macro")
    )
    assert found["f1_micro"] == pytest.approx(reference.f1_score(labels, said, average="micro"))
    assert found["f1_macro"] == pytest.approx(reference.f1_score(present, said[:, :3], average="macro"))
    assert found["exact_match"] == reference.accuracy_score(labels, said)
    assert found["binary_cross_entropy"] == pytest.approx(
        np.mean([reference.log_loss(labels[:, k], sigmoid(logits)[:, k], labels=[0, 1]) for k in range(4)])
    )
    assert found["labels_per_image"] == labels.sum() / 200 and found["images"] == 200
    absent = {"average_precision": None, "precision": 0.0, "recall": None, "f1": None, "support": 0}
    assert found["per_class"][3] == {"label": "ghost", **absent}
    assert found["per_class"][0]["support"] == labels[:, 0].sum()


def test_perfect_and_empty_answers() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 1]], np.float32)
    perfect = summarize(1000 * (2 * labels - 1), labels, ("a", "b"))
    assert perfect["mean_average_precision"] == perfect["f1_micro"] == perfect["exact_match"] == 1.0
    assert perfect["binary_cross_entropy"] == 0.0
    nothing = summarize(np.full((2, 2), -1.0), np.zeros((2, 2)), ("a", "b"))
    assert nothing["mean_average_precision"] is None and nothing["exact_match"] == 1.0
    with pytest.raises(InputError, match="are not finite"):
        summarize(np.full((3, 2), np.nan), labels, ("a", "b"))


def test_the_metrics_of_training_count_alike(answers: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = answers
    f1, exact = MicroF1(), ExactMatch()
    assert float(f1.result()) == 1.0
    for start in range(0, 200, 30):
        for metric in (f1, exact):
            metric.update_state(labels[start : start + 30], logits[start : start + 30])
    found = summarize(logits, labels, CLASSES)
    assert float(f1.result()) == pytest.approx(found["f1_micro"], rel=1e-6)
    assert float(exact.result()) == pytest.approx(found["exact_match"], rel=1e-6)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(f1))
    assert isinstance(again, MicroF1) and float(again.result()) == 1.0


def test_mistakes_come_surest_first_and_predictions_are_rows(answers: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = answers
    ids = [f"{n}.png" for n in range(200)]
    wrong = (logits > 0) != (labels > 0)
    found = confident_mistakes(ids, labels, logits, CLASSES, count=500)
    assert len(found) == wrong.any(axis=1).sum()
    sure = [float((np.abs(logits[m.index]) * wrong[m.index]).max()) for m in found]
    assert sure == sorted(sure, reverse=True)
    assert found[0].probability == pytest.approx(float(sigmoid(np.array(sure[0]))))
    assert found[0].probability + found[0].label_probability == pytest.approx(1)
    head, *lines = predictions(ids, labels, logits, CLASSES)
    rows = [dict(zip(head, line, strict=True)) for line in lines]
    assert [row["id"] for row in rows] == ids
    assert sum(row["correct"] for row in rows) == 200 - len(found)
    for row, logit, label in zip(rows, logits, labels, strict=True):
        assert row["labels"] == "|".join(c for c, there in zip(CLASSES, label, strict=True) if there)
        assert row["predicted"] == "|".join(c for c, value in zip(CLASSES, logit, strict=True) if value > 0)
        assert np.allclose([float(p) for p in row["probabilities"].split("|")], sigmoid(logit), atol=1e-6)
