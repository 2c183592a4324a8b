"""Figures of a file and the gate's verdict."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from imgrec.export import litert, parity

ROW = parity.ParityRow(
    name="qat_int8",
    accuracy=0.905,
    agreement=0.985,
    max_abs_difference=0.1,
    kilobytes=100.0,
    ms_per_image=0.5,
    float_accuracy=0.91,
    images=2000,
)


def test_measure_counts_what_differs(tmp_path: Path) -> None:
    image = keras.Input((2, 2, 1), name="image")
    flat = keras.layers.Flatten(name="flat")(image)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(flat))
    kernel = np.zeros((4, 3), "float32")
    kernel[:3] = np.eye(3)
    model.get_layer("logits").set_weights([kernel, np.zeros(3, "float32")])
    path = litert.to_float32(model, tmp_path / "float32.tflite")
    images = np.zeros((4, 2, 2, 1), "uint8")
    images.reshape(4, 4)[np.arange(4), [0, 1, 2, 0]] = 100  # classes 0, 1, 2, 0
    reference = np.eye(3, dtype="float32")[[0, 1, 1, 0]] * 100
    float_logits = np.eye(3, dtype="float32")[[1, 1, 1, 1]]
    row = parity.measure(path, images, np.array([0, 1, 2, 2]), reference, float_logits)
    assert (row.name, row.accuracy, row.agreement, row.float_accuracy) == ("float32", 0.75, 0.75, 0.25)
    assert row.max_abs_difference == pytest.approx(100)
    assert row.kilobytes == path.stat().st_size / 1000 and row.ms_per_image > 0
    with pytest.raises(ValueError, match="as many images"):
        parity.measure(path, images, np.array([0]), reference)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, []),
        ({"agreement": 0.98, "accuracy": 0.9}, []),
        ({"agreement": 0.979}, ["agrees"]),
        ({"name": "ptq_int8", "agreement": 0.9}, []),
        ({"name": "float32", "agreement": 0.9}, ["agrees"]),
        ({"name": "ptq_int8", "accuracy": 0.8995}, ["1.05 points"]),
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
