"""What a run says of its model and its files at its end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sessions import session_of

from imgrec import files
from imgrec.config import Config
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.learning.session import Session
from imgrec.metrics import baseline
from imgrec.models import build_model
from imgrec.runs import results
from imgrec.runs.exporting import Exported, judged
from imgrec.runs.measuring import Measured, constant_of
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.training.fit import Fitted

CLASSES = ("animal", "food")
FAULT = "ptq_int8: agrees with the model it was made from on 40.00%"


@pytest.fixture
def session() -> Session:
    splits = {}
    for name, count in (("train", 30), ("val", 10), ("test", 20)):
        labels = (np.arange(count) % 10 < 6).astype(np.int32)  # 60 % food
        ids = tuple(f"{name}-{index}" for index in range(count))
        splits[name] = Split(ids, labels, images=np.zeros((count, 28, 28, 1), np.uint8))
    source = Source(CLASSES, "grey", **splits, fingerprint="0" * 64, name="toy", side=28)
    model = build_model("lenet5", input_shape=(28, 28, 1), num_classes=2)
    config = Config().replace(batch_size=10, epochs=2, quantize="none")
    return session_of(config, source, Preprocess((28, 28), colour="grey"), model)


def test_the_constant_answer_is_that_of_training_and_judged_on_the_split() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    words, right = constant_of(Multiclass(("a", "b", "c")), np.array([1, 1, 1, 0, 2]), labels) or ("", labels)
    assert words == "b" and right.tolist() == (labels == 1).tolist()
    many = np.eye(3, dtype=np.float32)[labels]
    words, right = constant_of(Multilabel(("a", "b", "c")), many, many) or ("", labels)
    assert words == "a" and right.sum() == 4


def announced(session: Session, outputs: np.ndarray, accuracy: float, out: Path) -> int:
    files.write_json(out / "metrics.json", {})
    labels, task = session.source.test.labels, session.task
    constant = constant_of(task, session.source.train.labels, labels)
    standing = baseline.stand(lambda order: task.right(task.scores(outputs)[order], labels), 20, constant)
    measured = Measured(outputs, task.figures(outputs, labels), standing)
    given = Exported(20, [], [FAULT], "file  accuracy", "20 images cannot show one point")
    exported = judged(given, standing)
    assert exported.record()["failures"] == ([] if standing.by_chance else [FAULT])
    history = [{"epoch": 1, "accuracy": accuracy}, {"epoch": 2, "accuracy": accuracy}]
    return results.announce(session, out, Fitted(history, 2, rate=0.1), measured, exported)


def test_a_model_that_says_one_class_is_the_message_and_not_its_file(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = np.tile(np.array([0, 1], np.float32), (20, 1))
    assert announced(session, outputs, 0.6, tmp_path) == 0
    said = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    assert "test accuracy 60.0 % (39 to 78) · always 'food': 60.0 %\n" in said
    assert "\nthe model is no better than always 'food' (60.0 %)\n" in said
    assert "answers by chance. Likely cure: 6 updates of the weights are few: more --epochs" in said
    assert f"not held against the file: {FAULT}" in said and "20 images cannot show one point" in said
    assert "parity gate" not in said and "FAILED" not in said and f"done: {tmp_path}" in said
    assert announced(session, outputs, 0.97, tmp_path) == 0
    assert "it knows its training images and no others" in capsys.readouterr().out
    assert announced(replace(session, steps_per_epoch=900), outputs, 0.6, tmp_path) == 0
    assert "a lower --learning-rate" in capsys.readouterr().out


def test_a_model_that_learned_leaves_the_blame_with_the_file(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = np.eye(2, dtype=np.float32)[session.source.test.labels]
    assert announced(session, outputs, 0.97, tmp_path) == 1
    said = capsys.readouterr().out
    assert f"parity gate: {FAULT}" in said and "FAILED the parity gate" in said
    assert "the model is better than always 'food' by 40.0 points (p < 0.001)" in said
    assert "by chance" not in said
