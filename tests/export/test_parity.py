"""Figures of a file and the gate's verdict."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from imgrec.artefact import Artefact, Promise
from imgrec.export import litert, parity
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel

ROW = parity.ParityRow(
    name="qat_int8",
    accuracy=0.905,
    agreement=0.985,
    max_abs_difference=0.1,
    kilobytes=100.0,
    ms_per_image=0.5,
    float_accuracy=0.91,
    images=2000,
    promise=Promise.SAME_ANSWERS,
)
TASK = Multiclass(("a", "b", "c"))


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    """A file whose outputs are the first three of four pixels."""
    image = keras.Input((2, 2, 1), name="image")
    flat = keras.layers.Flatten(name="flat")(image)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(flat))
    kernel = np.zeros((4, 3), "float32")
    kernel[:3] = np.eye(3)
    model.get_layer("logits").set_weights([kernel, np.zeros(3, "float32")])
    path = litert.to_float32(model, tmp_path / "float32.tflite")
    return Artefact(path, "tflite", "none", Promise.SAME_ANSWERS)


def test_measure_counts_what_differs(artefact: Artefact) -> None:
    path = artefact.path
    images = np.zeros((4, 2, 2, 1), "uint8")
    images.reshape(4, 4)[np.arange(4), [0, 1, 2, 0]] = 100  # classes 0, 1, 2, 0
    reference = np.eye(3, dtype="float32")[[0, 1, 1, 0]] * 100
    float_logits = np.eye(3, dtype="float32")[[1, 1, 1, 1]]
    row = parity.measure(artefact, images, np.array([0, 1, 2, 2]), reference, float_logits, TASK)
    assert (row.name, row.accuracy, row.agreement, row.float_accuracy) == ("float32", 0.75, 0.75, 0.25)
    assert row.promise is Promise.SAME_ANSWERS
    assert row.max_abs_difference == pytest.approx(100)
    assert row.kilobytes == path.stat().st_size / 1000 and row.ms_per_image > 0
    with pytest.raises(ValueError, match="as many images"):
        parity.measure(artefact, images, np.array([0]), reference, reference, TASK)


def test_multi_label_images_are_right_when_all_of_their_labels_are(artefact: Artefact) -> None:
    images = np.array([[9, 0, 0, 0], [9, 9, 0, 0], [0, 0, 0, 0]], "uint8").reshape(3, 2, 2, 1)
    labels = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 0]], "float32")
    reference = np.array([[1, -1, -1], [1, 1, -1], [1, -1, -1]], "float32")
    row = parity.measure(artefact, images, labels, reference, labels - 0.5, Multilabel(TASK.classes))
    assert row.accuracy == pytest.approx(2 / 3) and row.agreement == pytest.approx(2 / 3)
    assert row.float_accuracy == 1.0


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, []),
        ({"agreement": 0.98, "accuracy": 0.9}, []),
        ({"agreement": 0.979}, ["agrees"]),
        ({"promise": Promise.SAME_ACCURACY, "agreement": 0.9}, []),
        ({"name": "ptq_int8", "agreement": 0.9}, ["agrees"]),
        ({"name": "float32", "agreement": 0.9}, ["agrees"]),
        ({"promise": Promise.SAME_ACCURACY, "accuracy": 0.8995}, ["1.05 points"]),
        ({"agreement": 0.5, "accuracy": 0.5}, ["agrees", "points"]),
        ({"images": 10, "agreement": 0.9, "accuracy": 0.81}, []),
        ({"images": 10, "agreement": 0.8, "accuracy": 0.71}, ["agrees", "points"]),
    ],
)
def test_gate(changes: dict, words: list[str]) -> None:
    row = replace(ROW, **changes)
    failures = parity.gate([ROW, row])
    assert len(failures) == len(words)
    for failure, word in zip(failures, words, strict=True):
        assert failure.startswith(row.name) and word in failure


def test_table_is_aligned() -> None:
    lines = parity.table([ROW, replace(ROW, name="float32", kilobytes=12345.6)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["qat_int8", "90.50%", "98.50%", "0.1", "100", "0.50"]
    assert "12,346" in lines[2]
