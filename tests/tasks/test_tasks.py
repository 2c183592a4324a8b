"""What each task makes of labels and outputs, against its metrics and by hand; task.json there and back."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imgrec import tasks
from imgrec.errors import InputError
from imgrec.metrics import multi_label, single_label
from imgrec.metrics.answers import sigmoid, softmax
from imgrec.metrics.wording import percent
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task

CLASSES = ("ant", "bee", "cat")
ONE, SOME = Multiclass(CLASSES), Multilabel(CLASSES)
LOGITS = np.array([[2, 0, -1], [0, 0, -3], [-1, -2, -3], [1, 5, 3]], np.float32)
LABELS = {"class": np.array([0, 1, 0, 2], np.int32)}
LABELS["classes"] = np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 1]], np.float32)
IDS = ("a.png", "b.png", "caf\udce9.png", "d.png")
MODULES = {"multiclass": single_label, "multilabel": multi_label}
BOTH = pytest.mark.parametrize("task", [ONE, SOME], ids=lambda task: task.name)


def drawn(task: Task, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and labels of `count` images, of which some are answered right."""
    draw = np.random.default_rng(5)
    hot = np.eye(3, dtype=np.float32)[draw.integers(0, 3, count)]
    outputs = (draw.normal(0, 1.5, (count, 3)) + 2 * hot - 1).astype(np.float32)
    return outputs, hot if task.labels == "classes" else hot.argmax(axis=1).astype(np.int32)


def test_targets_are_float32_a_class() -> None:
    one, some = (np.asarray(task.targets(LABELS[task.labels])) for task in (ONE, SOME))
    assert one.dtype == some.dtype == np.float32
    assert one.tolist() == np.eye(3)[LABELS["class"]].tolist()
    assert some.tolist() == LABELS["classes"].tolist()
    assert ONE.outputs == SOME.outputs == 3


def test_the_loss_of_its_own_is_cross_entropy_of_its_labels() -> None:
    outputs, labels = drawn(ONE)
    expected = single_label.summarize(outputs, labels, CLASSES)["cross_entropy"]
    assert float(ONE.loss("auto", 0)(ONE.targets(labels), outputs)) == pytest.approx(expected, rel=1e-5)
    outputs, labels = drawn(SOME)
    expected = multi_label.summarize(outputs, labels, CLASSES)["binary_cross_entropy"]
    assert float(SOME.loss("auto", 0)(SOME.targets(labels), outputs)) == pytest.approx(expected, rel=1e-5)
    assert type(ONE.loss("binary_focal", 0)) is type(SOME.loss("binary_focal", 0))
    with pytest.raises(InputError, match=r"--loss focal compares the classes.*binary_focal"):
        SOME.loss("focal", 0)


@BOTH
def test_an_epoch_shows_the_score(task: Task) -> None:
    outputs, labels = drawn(task)
    metrics = task.metrics(task.score)
    assert task.score in [metric.name for metric in metrics]
    found = task.figures(outputs, labels)
    keys = {"accuracy": "accuracy", "f1": "f1_micro", "exact_match": "exact_match"}
    for metric in metrics:
        assert isinstance(metric, keras.metrics.Metric)
        metric.update_state(task.targets(labels), outputs)
        assert float(metric.result()) == pytest.approx(found[keys[metric.name]], rel=1e-6)


def test_balanced_accuracy_is_shown_where_it_is_the_score() -> None:
    assert [metric.name for metric in ONE.metrics("balanced_accuracy")] == ["accuracy", "balanced_accuracy"]


def test_right_and_same_by_hand() -> None:
    # Of equal ones the first class counts; a label is said above a half, not at it.
    assert ONE.right(ONE.scores(LOGITS), LABELS["class"]).tolist() == [True, False, True, False]
    assert SOME.right(SOME.scores(LOGITS), LABELS["classes"]).tolist() == [True, True, False, True]
    other = np.array([[9, 8, 7], [0, -1, -1], [1, -2, -3], [1, 2, 3]], np.float32)
    assert ONE.same(ONE.scores(LOGITS), ONE.scores(other)).tolist() == [True, True, True, False]
    assert SOME.same(SOME.scores(LOGITS), SOME.scores(other)).tolist() == [False, True, False, True]


@BOTH
def test_right_is_what_the_figures_and_the_table_count(task: Task) -> None:
    outputs, labels = drawn(task)
    scores = task.scores(outputs)
    right = task.right(scores, labels)
    found = task.figures(outputs, labels)
    assert task.share_right(found) == right.mean() and 0.2 < right.mean() < 0.9
    ids = [f"{n}" for n in range(60)]
    head, *rows = task.table(ids, labels, outputs)
    assert [row[head.index("correct")] for row in rows] == right.astype(int).tolist()
    mistakes = task.mistakes(ids, labels, outputs, 100)
    assert sorted(m.index for m in mistakes) == np.flatnonzero(~right).tolist()
    assert task.mistakes(ids, labels, outputs, 3) == mistakes[:3]
    assert task.same(scores, scores).all()


@BOTH
def test_figures_mistakes_and_table_are_those_of_the_metrics(task: Task) -> None:
    module: Any = MODULES[task.name]
    labels = LABELS[task.labels]
    assert task.figures(LOGITS, labels) == module.summarize(LOGITS, labels, CLASSES)
    assert task.table(IDS, labels, LOGITS) == module.predictions(IDS, labels, LOGITS, CLASSES)
    assert task.mistakes(IDS, labels, LOGITS) == module.confident_mistakes(IDS, labels, LOGITS, CLASSES)
    with pytest.raises(InputError, match="are not finite"):
        task.figures(LOGITS * np.nan, labels)


def test_scores_and_answers() -> None:
    assert ONE.scores(LOGITS).dtype == SOME.scores(LOGITS).dtype == np.float32
    np.testing.assert_allclose(ONE.scores(LOGITS), softmax(LOGITS), rtol=1e-6)
    np.testing.assert_allclose(SOME.scores(LOGITS), sigmoid(LOGITS), rtol=1e-6)
    answer = ONE.decode(ONE.scores(LOGITS), top=2)[3]
    assert [entry["label"] for entry in answer["top"]] == ["bee", "cat"]
    assert answer["label"] == "bee" and list(answer) == ["label", "probability", "top"]
    assert answer["probability"] == answer["top"][0]["probability"] == pytest.approx(softmax(LOGITS)[3, 1])
    first, second, third, fourth = SOME.decode(SOME.scores(LOGITS), top=1)
    assert [each["labels"] for each in (first, second, third, fourth)] == [["ant"], [], [], list(CLASSES)]
    assert fourth["top"] == [{"label": "bee", "probability": pytest.approx(sigmoid(LOGITS)[3, 1])}]
    assert [e["label"] for e in ONE.decode(np.zeros((1, 3), np.float32))[0]["top"]] == list(CLASSES)
    json.dumps([answer, fourth])


def test_answers_in_words() -> None:
    answer = {"top": [{"label": "ant", "probability": 0.75}, {"label": "bear", "probability": 0.02}]}
    task = Multiclass(("ant", "bear", "a name of more than twenty letters"))
    padded = "ant                   75.0 %  bear                   2.0 %"
    assert task.line(answer) == padded
    assert ONE.line(answer) == "ant  75.0 %  bear   2.0 %"
    assert SOME.line({**answer, "labels": ["ant", "fog"]}) == ONE.line(answer) + "  labels: ant, fog"
    assert SOME.line({**answer, "labels": []}).endswith("labels: none above 50 %")


def test_the_headline_of_one_class_an_image() -> None:
    outputs, labels = drawn(ONE)
    found = ONE.figures(outputs, labels)
    line = f"test accuracy {found['accuracy']:.4f} on 60 images, macro F1 {found['f1_macro']:.4f}"
    assert ONE.headline(found) == line
    uneven = ONE.figures(outputs, labels, [90, 20, 2])
    groups = ", ".join(f"{row['group']} {row['accuracy']:.4f}" for row in uneven["by_frequency"])
    assert ONE.headline(uneven) == f"{line}\nbalanced accuracy {uneven['balanced_accuracy']:.4f}: {groups}"
    assert ONE.lede(found) == f"recognises {percent(found['accuracy'])} of 60 test images in 3 classes."
    tiles = {name: value for name, value, _ in ONE.tiles(found)}
    assert tiles == {
        "Accuracy": percent(found["accuracy"]),
        "Macro F1": f"{found['f1_macro']:.3f}",
        "Calibration error": percent(found["expected_calibration_error"]),
        "Cross-entropy": f"{found['cross_entropy']:.3f}",
    }
    assert "Balanced accuracy" in [name for name, _, _ in ONE.tiles(uneven)]


def test_of_many_classes_top_5_is_told_and_of_two_the_auc() -> None:
    many = Multiclass(tuple("abcdefg"))
    figures = many.figures(np.eye(7, dtype=np.float32), np.arange(7))
    assert ("Top-5", "100.0\N{NO-BREAK SPACE}%", "true class among the first 5") in many.tiles(figures)
    two = Multiclass(("no", "yes"))
    assert ("AUC", "1.000", "area under the ROC curve") in two.tiles(two.figures(np.eye(2), np.arange(2)))


def test_the_headline_of_multi_label_images() -> None:
    outputs, labels = drawn(SOME)
    found = SOME.figures(outputs, labels)
    assert SOME.headline(found) == (
        f"test mAP {found['mean_average_precision']:.4f}, F1 micro {found['f1_micro']:.4f}, "
        f"macro {found['f1_macro']:.4f}; all labels right on {found['exact_match']:.4f} of 60 images"
    )
    exact = percent(found["exact_match"])
    assert SOME.lede(found) == (
        f"has every label right on {exact} of 60 test images, which have 1 of 3 labels on average."
    )
    tiles = {name: value for name, value, _ in SOME.tiles(found)}
    assert tiles == {
        "mAP": f"{found['mean_average_precision']:.3f}",
        "Micro F1": f"{found['f1_micro']:.3f}",
        "Macro F1": f"{found['f1_macro']:.3f}",
        "Exact match": percent(found["exact_match"]),
        "Cross-entropy": f"{found['binary_cross_entropy']:.3f}",
    }
    empty = SOME.figures(-np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32))
    assert SOME.tiles(empty)[0][1] == "–" and SOME.headline(empty).startswith("test F1 micro 0.0000; all")


def test_the_labels_choose_the_task() -> None:
    assert tasks.choose("auto", "class", CLASSES) == ONE
    assert tasks.choose("auto", "classes", CLASSES) == SOME
    assert tasks.choose("multilabel", "classes", CLASSES) == SOME
    with pytest.raises(InputError, match=r"--task multilabel: learns from classes, and these labels"):
        tasks.choose("multilabel", "class", CLASSES)
    with pytest.raises(InputError, match=r"no task learns from labels of the kind value: known: mul"):
        tasks.choose("auto", "value", CLASSES)
    with pytest.raises(InputError, match=r"unknown task 'multilable': did you mean multilabel"):
        tasks.choose("multilable", "classes", CLASSES)


@pytest.mark.parametrize("kind", [Multiclass, Multilabel])
def test_a_task_is_read_as_it_was_written(kind: type[Task], tmp_path: Path) -> None:
    task = kind(("Ärmel", " a, b ", "id|x"))
    tasks.write(tmp_path, task)
    assert tasks.read(tmp_path) == task
    assert json.loads((tmp_path / "task.json").read_text()) == {"format": 1, "task": kind.name}
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8") == "Ärmel\n a, b \nid|x\n"


@pytest.mark.parametrize(("held", "kind"), [({"labels": "several"}, Multilabel), ({}, Multiclass)])
def test_folders_from_before_tasks_are_read(held: dict[str, str], kind: type[Task], tmp_path: Path) -> None:
    tasks.write(tmp_path, kind(CLASSES))
    (tmp_path / "task.json").unlink()
    (tmp_path / "preprocess.json").write_text(json.dumps({"size": [8, 8], **held}))
    assert tasks.read(tmp_path) == kind(CLASSES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"format": 1, "task": "multiklass"}',
            r"unknown task in .*task.json 'multiklass': did you mean",
        ),
        (
            '{"format": 2, "task": "multiclass"}',
            r"task.json: calibration is None, expected a mapping of scal",
        ),
        ('{"format": 3, "task": "multiclass"}', r"task.json: format 3, this version reads 1 and 2"),
        ('{"format": 1}', r"task.json: cannot be read \('task'\)"),
        ('{"format": 1, "ta', r"task.json: damaged, expected JSON \(Unterminated"),
        ("[1]", r"task.json: holds a list, expected a mapping"),
    ],
)
def test_a_damaged_record_is_refused(text: str, said: str, tmp_path: Path) -> None:
    tasks.write(tmp_path, ONE)
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(InputError, match=said):
        tasks.read(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels.txt: No such file.*restore the folder"):
        tasks.read(tmp_path)
    tasks.write(tmp_path, ONE)
    (tmp_path / "task.json").unlink()
    with pytest.raises(InputError, match=r"preprocess.json: No such file"):
        tasks.read(tmp_path)


def test_a_registered_task_is_chosen_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(Multiclass):
        name = "mine"
        labels = "value"

    monkeypatch.setitem(tasks.TASKS, "mine", Mine)
    task = tasks.choose("auto", "value", ("angle",))
    tasks.write(tmp_path, task)
    assert type(task) is type(tasks.read(tmp_path)) is Mine


def test_answers_take_no_framework(tmp_path: Path) -> None:
    tasks.write(tmp_path, SOME)
    code = (
        "import sys, pathlib, numpy as np, imgrec.tasks as tasks\n"
        f"task = tasks.read(pathlib.Path({str(tmp_path)!r}))\n"
        "scores = task.scores(np.zeros((2, 3), np.float32))\n"
        "task.line(task.decode(scores)[0]), task.same(scores, scores)\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_constant_answer_is_the_one_that_most_training_images_have() -> None:
    words, outputs = Multiclass(("a", "b", "c")).constant(np.array([2, 1, 1, 0])) or ("", np.empty(0))
    assert words == "b" and outputs.tolist() == [0, 1, 0]
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], "float32")
    task = Multilabel(("a", "b", "c"))
    words, scores = task.constant(labels) or ("", np.empty(0))
    assert words == "a|b" and scores.tolist() == [1, 1, 0]
    assert task.right(np.tile(scores, (4, 1)), labels).tolist() == [True, False, True, False]
    assert (task.constant(labels[[1, 3, 3]]) or ("",))[0] == "no label"
