"""Files of a calibrated run: the scaling of logits is inside their graphs, thresholds travel with them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imgrec.compression import qat
from imgrec.errors import InputError
from imgrec.export import litert, onnx_file, openvino_folder, saved_model, triton
from imgrec.export.card import Card
from imgrec.export.inspect import describe
from imgrec.export.post_training import to_dynamic, to_float16
from imgrec.metrics.answers import sigmoid, softmax
from imgrec.models import build_model
from imgrec.runtimes import open_runtime
from imgrec.serving.predictor import Predictor
from imgrec.tasks.calibration import Abstention, Calibration, Scaling, Sets
from imgrec.tasks.multilabel import Multilabel
from tests.export.cards import card

CLASSES = 5
TEMPERATURE = Scaling((1 / 0.6,), (), 500, (0.5, 0.7))
VECTOR = Scaling((1.5, 0.7, 1.0, 2.0, 1.1), (0.3, -0.2, 0.0, 0.5, -0.6), 500)
SETS, ABSTENTION = Sets("lac", 0.9, 0.75, 500), Abstention("risk", 0.05, 0.95, 0.35, 500)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    made = build_model("resnet8", input_shape=(16, 16, 3), num_classes=CLASSES)
    # Logits far enough apart for a temperature to matter.
    weights = made.get_layer("logits").get_weights()
    made.get_layer("logits").set_weights([weights[0] * 12, weights[1] + np.linspace(-1, 1, CLASSES)])
    return made


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype("uint8")


def calibrated(scaling: Scaling | None, **options: Any) -> Card:
    plain = card("resnet8", 16, classes=CLASSES)
    known = Calibration(scaling, SETS, ABSTENTION)
    return dataclasses.replace(plain, task=dataclasses.replace(plain.task, calibration=known), **options)


def expected(model: keras.Model, images: np.ndarray, scaling: Scaling) -> np.ndarray:
    """What Keras's logits come to, worked out by hand."""
    logits = np.asarray(model(images.astype("float32"), training=False), np.float64)
    return softmax(logits * np.array(scaling.factors) + np.array(scaling.shifts or (0.0,)))


WRITERS = {
    "f.tflite": litert.to_float32,
    "f16.tflite": to_float16,
    "dynamic.tflite": to_dynamic,
    "f.onnx": onnx_file.to_float32,
    "f.savedmodel": saved_model.to_float32,
    "f.triton": triton.to_float32,
    "f.openvino": openvino_folder.to_float32,
}
CLOSE = {"f16.tflite": 2e-2, "dynamic.tflite": 6e-2}


@pytest.mark.parametrize("scaling", [TEMPERATURE, VECTOR], ids=lambda each: each.method)
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_scales_inside_its_graph(
    name: str, scaling: Scaling, model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    runtime = open_runtime(WRITERS[name](model, tmp_path / name, calibrated(scaling)))
    outputs = np.concatenate([runtime.answer(images[i : i + 1]) for i in range(len(images))])
    assert runtime.scored
    wanted = expected(model, images, scaling)
    assert np.abs(outputs - wanted).max() < CLOSE.get(name, 1e-4)
    # The files are not those of an uncalibrated run.
    assert np.abs(expected(model, images, Scaling((1.0,))) - wanted).max() > 0.05


@pytest.mark.parametrize("scaling", [TEMPERATURE, VECTOR], ids=lambda each: each.method)
def test_int8_files_scale_the_logits_they_round(
    scaling: Scaling, model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    ranged = qat.calibrated(model, images)
    plain = np.asarray(ranged.predict(images.astype("float32"), verbose=0), np.float64)
    wanted = softmax(plain * np.array(scaling.factors) + np.array(scaling.shifts or (0.0,)))
    for write, name in ((litert.to_int8, "q.tflite"), (onnx_file.to_int8, "q.onnx")):
        runtime = open_runtime(write(ranged, tmp_path / name, calibrated(scaling)))
        outputs = np.concatenate([runtime.answer(images[i : i + 1]) for i in range(len(images))])
        assert (outputs.argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.9
        assert np.abs(outputs - wanted).max() < 0.06, name
    operators = [operator.name for operator in describe(tmp_path / "q.tflite")]
    added = ["MUL", "SOFTMAX"] if scaling is TEMPERATURE else ["MUL", "ADD", "SOFTMAX"]
    assert operators[-len(added) :] == added
    before = [o.name for o in describe(litert.to_int8(ranged, tmp_path / "p.tflite", calibrated(None)))]
    assert operators == [*before[:-1], *added]


def test_a_file_alone_obeys_the_thresholds_inside_it(
    model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    told = calibrated(TEMPERATURE)
    predictor = Predictor.load(litert.to_float32(model, tmp_path / "alone.tflite", told))
    assert predictor.task == told.task
    scores = predictor.predict(images)
    for answer, row in zip(predictor.task.decode(scores), scores, strict=True):
        inside = {told.task.classes[k] for k in range(CLASSES) if 1 - row[k] <= 0.75 or k == row.argmax()}
        assert set(answer["set"]) == inside and answer["set"][0] == answer["label"]
        assert answer["coverage"] == 0.9
        assert answer["abstained"] == bool(row.max() < np.float32(0.35))
        json.dumps(answer)


def test_a_multi_label_file_scales_before_its_sigmoid(
    model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    plain = card("resnet8", 16, classes=CLASSES)
    task = Multilabel(plain.task.classes, Calibration(VECTOR))
    path = litert.to_float32(model, tmp_path / "m.tflite", dataclasses.replace(plain, task=task))
    logits = np.asarray(model(images.astype("float32"), training=False), np.float64)
    wanted = sigmoid(logits * np.array(VECTOR.factors) + np.array(VECTOR.shifts))
    assert np.abs(Predictor.load(path).predict(images) - wanted).max() < 1e-4


def test_a_lone_file_with_a_broken_calibration_is_refused(
    model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    broken = calibrated(dataclasses.replace(TEMPERATURE, interval=(0.5, float("inf"))))
    with pytest.raises(InputError, match=r"interval_95 is .*expected 2 numbers above 0 and below"):
        Predictor.load(litert.to_float32(model, tmp_path / "bad.tflite", broken))
