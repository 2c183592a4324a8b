"""Figures over folds, against the table of t, SciPy and scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation import cross_validation as folds
from imgrec.metrics.answers import softmax

CLASSES = ("id", "a, b", "Ärmel")


def judged(path: Path, count: int, first: int = 0) -> tuple[folds.Answers, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(count)
    logits = draw.normal(0, 3, (count, 3)).astype(np.float32)
    labels = draw.choice(3, count, p=[0.7, 0.2, 0.1]).astype(np.int32)
    ids = tuple(f"{n},\n.png" for n in range(first, first + count))
    folds.write_answers(path, Split(ids, labels, np.zeros((count, 1, 1, 1), np.uint8)), logits, CLASSES)
    return folds.read_answers(path), labels, logits


def test_answers_come_back_and_give_the_known_figures(tmp_path: Path) -> None:
    answers, labels, logits = judged(tmp_path / "answers.csv", 80)
    assert answers.classes == CLASSES and answers.ids[3] == "3,\n.png"
    np.testing.assert_allclose(answers.probabilities, softmax(logits), rtol=1e-8)
    predicted = logits.argmax(axis=1)
    assert answers.figures == {
        "accuracy": pytest.approx(accuracy_score(labels, predicted)),
        "balanced_accuracy": pytest.approx(balanced_accuracy_score(labels, predicted)),
    }


def test_the_interval_is_student_s() -> None:
    """t for 95 % and 4 degrees of freedom is 2.776 in every table; SciPy's own interval agrees."""
    values = [0.91, 0.88, 0.93, 0.90, 0.89]
    found = folds.mean_interval(values)
    half = (found["interval_95"][1] - found["interval_95"][0]) / 2
    assert half / (np.std(values, ddof=1) / np.sqrt(5)) == pytest.approx(2.776, abs=5e-4)
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    np.testing.assert_allclose(found["interval_95"], expected)
    assert found["mean"] == pytest.approx(0.902)
    with pytest.raises(ValueError, match="two values"):
        folds.mean_interval([0.9])


def test_folds_of_two_sets_are_refused(tmp_path: Path) -> None:
    one, labels, logits = judged(tmp_path / "1.csv", 30)
    two, more_labels, more_logits = judged(tmp_path / "2.csv", 20, first=30)
    folds.write_joined(tmp_path / "all.csv", [one, two])
    right = np.concatenate([labels == logits.argmax(1), more_labels == more_logits.argmax(1)])
    assert folds.pooled([one, two])["accuracy"] == pytest.approx(right.mean())
    with pytest.raises(InputError, match="an image was held out twice"):
        folds.write_joined(tmp_path / "all.csv", [one, one])
    (tmp_path / "broken.csv").write_text("id,label,p:a\n1,a,much\n")
    with pytest.raises(InputError, match=r"broken.csv: cannot be read"):
        folds.read_answers(tmp_path / "broken.csv")
