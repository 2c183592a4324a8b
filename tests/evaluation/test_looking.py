"""The report's section of maps: which answers it shows, and that nothing of a user's is taken for markup."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from reports import EVIL, evaluated, outline, page

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.sections.looking import SHOWN, looking, typical
from imgrec.evaluation.stored import Stored
from imgrec.evaluation.subject import Subject
from imgrec.models import build_model
from imgrec.tasks.classes import ClassTask
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel

CLASSES = (EVIL, "b", "c")


def measured(task: ClassTask, name: str = "lenet5", side: int = 28) -> Evaluated:
    """A report with a model of random weights, and what it answered for pictures of noise."""
    keras.utils.set_random_seed(0)
    model = build_model(name, (side, side, 1), len(CLASSES))
    images = np.random.default_rng(0).integers(0, 256, (30, side, side, 1), np.uint8)
    labels = np.arange(30) % 3
    if task.labels == "classes":
        labels = np.eye(3, dtype=np.float32)[labels]
    split = Split(tuple(f"{EVIL}-{i}" for i in range(30)), labels, images=images)
    subject = Subject(model, task, Preprocess((side, side), "grey"), 8)
    outputs = subject.answers(split)
    mistakes = task.mistakes(split.ids, labels, outputs)
    shown = [images[mistake.index] for mistake in mistakes]
    more = {"figures": task.figures(outputs, labels), "mistakes": mistakes, "mistake_images": shown}
    return replace(evaluated(task), subject=subject, split=split, test=Stored.of(split, outputs), **more)


@pytest.mark.parametrize("task", [Multiclass(CLASSES), Multilabel(CLASSES)], ids=lambda task: task.name)
def test_wrong_and_right_answers_have_their_maps(task: ClassTask, tmp_path: Path) -> None:
    given = measured(task)
    section = looking(given)
    assert section is not None and section.data["method"] == "gradcam(endpoint=stage1)"
    wrong, right = section.data["groups"]["wrong"], section.data["groups"]["right"]
    assert [tile.id for tile in wrong] == [mistake.id for mistake in given.mistakes[:SHOWN]]
    assert [tile.truth for tile in wrong] == [mistake.label for mistake in given.mistakes[:SHOWN]]
    assert given.test is not None
    scores = dict(zip(given.test.ids, task.scores(given.test.outputs), strict=True))
    for tile in (*wrong, *right):
        assert tile.score == pytest.approx(scores[tile.id][task.classes.index(tile.label)])
        assert tile.picture.startswith("data:image/jpeg") and tile.picture != tile.mapped
    assert len({tile.label for tile in right}) == len(right) and not any(tile.truth for tile in right)
    text = page(tmp_path, given)
    outline(text)
    assert 'id="looking"' in text and EVIL not in text and "Wrong answers, the surest first" in text


def test_a_multi_label_mistake_is_about_the_label_decided_wrong_most_surely() -> None:
    task = Multilabel(("a", "b", "c"))
    scores = np.array([[0.9, 0.4, 0.1], [0.9, 0.4, 0.1], [0.9, 0.4, 0.1]])
    labels = np.array([[1, 0, 0], [1, 1, 1], [0, 1, 0]], np.float32)
    assert task.telling(scores, labels).tolist() == [0, 2, 0]
    assert Multiclass(("a", "b", "c")).telling(scores, np.zeros(3, int)).tolist() == [0, 0, 0]


def test_a_typical_answer_is_the_one_in_the_middle_of_its_class() -> None:
    scores = np.zeros((7, 2))
    scores[:, 0] = [0.9, 0.5, 0.7, 0.99, 0.2, 0.1, 0.3]
    classes = np.array([0, 0, 0, 0, 1, 1, 1])
    right = np.array([True, True, True, False, False, False, False])
    assert typical(scores, classes, right) == [2]
    many = np.arange(100)
    assert len(typical(np.ones((100, 100)), many, many >= 0)) == SHOWN
    assert typical(scores, classes, np.zeros(7, bool)) == []


def test_a_transformer_has_rollout_and_no_model_no_section(tmp_path: Path) -> None:
    given = measured(Multiclass(CLASSES), "vit_small_image", 16)
    section = looking(given)
    assert section is not None and section.data["method"] == "rollout"
    assert "that it attends to most, by rollout" in page(tmp_path, given)
    assert looking(replace(given, subject=None)) is None and looking(evaluated(Multiclass(CLASSES))) is None
