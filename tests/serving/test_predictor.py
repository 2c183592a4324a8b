"""The predictor against a linear model whose probabilities NumPy gives as well."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from linear import LABELS, PREPROCESS, WEIGHTS, converted, pictures, reference, write_companions

from imgrec import bundle, files, runtimes
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.metrics.answers import softmax
from imgrec.serving.predictor import Predictor
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel


@pytest.fixture(scope="module")
def tflite() -> bytes:
    return converted("uint8")


@pytest.fixture
def shipped(tmp_path: Path, tflite: bytes) -> Path:
    """A `.tflite` outside a run folder, with what it needs beside it."""
    write_companions(tmp_path / "phone")
    file = tmp_path / "phone" / "model.tflite"
    file.write_bytes(tflite)
    return file


@pytest.fixture
def run_folder(tmp_path: Path, tflite: bytes) -> Path:
    """A run folder with an export; its model.keras is no model, nobody may open it."""
    out = tmp_path / "run"
    folder = bundle.begin(out)
    files.write_json(folder / "run.json", {"format": bundle.FORMAT})
    files.write_text(folder / "model.keras", "unread")
    write_companions(folder)
    write_companions(folder / "exports")
    (folder / "exports" / "float32.tflite").write_bytes(tflite)
    bundle.finish(folder, out)
    return out


def test_probabilities_are_the_model_s(shipped: Path) -> None:
    predictor = Predictor.load(shipped)
    answers = predictor.predict(pictures())
    assert answers.dtype == np.float32 and answers.shape == (5, 3)
    np.testing.assert_allclose(answers, reference(pictures()), atol=1e-5)
    assert predictor.labels == LABELS and predictor.preprocess == PREPROCESS
    assert predictor.predict(pictures(0)).shape == (0, 3)


@pytest.mark.parametrize(("quantized", "tolerance"), [(False, 1e-5), (True, 0.02)])
def test_float_input_and_int8_output(shipped: Path, quantized: bool, tolerance: float) -> None:
    shipped.write_bytes(converted("float32", quantized))
    np.testing.assert_allclose(
        Predictor.load(shipped).predict(pictures()), reference(pictures()), atol=tolerance
    )


def test_files_go_through_the_run_s_preprocessing(shipped: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    files = [tmp_path / f"{i}.png" for i in range(5)]
    images = []
    for file in files:
        picture = rng.integers(0, 256, (int(rng.integers(5, 30)), 17, 3), np.uint8)
        cv2.imwrite(str(file), picture[..., ::-1])
        images.append(PREPROCESS.on_array(picture))
    predictor = Predictor.load(shipped)
    expected = predictor.predict(np.stack(images))
    np.testing.assert_array_equal(predictor.predict_files(files, batch_size=2), expected)
    assert predictor.predict_files([]).shape == (0, 3)
    files[3].write_bytes(b"no image")
    with pytest.raises(InputError, match=r"3\.png"):
        predictor.predict_files(files)


def test_answers_are_the_task_s(shipped: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, image in zip(paths, pictures(3), strict=True):
        cv2.imwrite(str(path), image[..., ::-1])
    shares = reference(pictures(3))
    answers = list(Predictor.load(shipped).answers(paths, top=2))
    assert [answer["path"] for answer in answers] == list(map(str, paths))
    for answer, row in zip(answers, shares, strict=True):
        assert [entry["label"] for entry in answer["top"]] == [LABELS[i] for i in (-row).argsort()[:2]]
        said = [entry["probability"] for entry in answer["top"]]
        np.testing.assert_allclose(said, np.sort(row)[:0:-1], atol=1e-5)
    write_companions(shipped.parent, task=Multilabel(LABELS))
    predictor = Predictor.load(shipped)
    logits = pictures(3).reshape(3, -1).astype(np.float64) @ WEIGHTS
    np.testing.assert_allclose(predictor.predict(pictures(3)), 1 / (1 + np.exp(-logits)), atol=1e-5)
    answers = list(predictor.answers(paths))
    assert [answer["labels"] for answer in answers] == [
        [label for label, logit in zip(LABELS, row, strict=True) if logit > 0] for row in logits
    ]
    assert len(answers[0]["top"]) == 3 and list(predictor.answers([])) == []


@pytest.mark.parametrize(("kind", "task"), [("one", Multiclass), ("several", Multilabel)])
def test_exports_from_before_there_were_tasks_are_served(shipped: Path, kind: str, task: type) -> None:
    (shipped.parent / "task.json").unlink()
    held = PREPROCESS.to_json().replace("{", f'{{"labels": "{kind}",', 1)
    (shipped.parent / "preprocess.json").write_text(held)
    assert Predictor.load(shipped).task == task(LABELS)


def test_an_export_is_checked_against_its_run(run_folder: Path) -> None:
    file = run_folder / "exports" / "float32.tflite"
    np.testing.assert_allclose(Predictor.load(file).predict(pictures()), reference(pictures()), atol=1e-5)
    (run_folder / "labels.txt").write_text("ant\ncat\nbee\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"labels\.txt is not the file the manifest lists"):
        Predictor.load(file)


def test_exports_can_be_shipped_alone(run_folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "app" / "exports"
    moved.parent.mkdir()
    (run_folder / "exports").rename(moved)
    (tmp_path / "app" / "manifest.json").write_text('{"name": "a web application"}', encoding="utf-8")
    assert Predictor.load(moved / "float32.tflite").labels == LABELS


def test_a_run_folder_runs_its_keras_model(tmp_path: Path) -> None:
    from imgrec.models import build_model

    preprocess = Preprocess(size=(28, 28), colour="grey")
    model = build_model("lenet5", input_shape=preprocess.shape, num_classes=3)
    with pytest.raises(InputError, match=r"lenet5: takes images of shape \[28, 28, 1\].*for \[8, 6, 3\]"):
        Predictor.of_model(model, PREPROCESS, Multiclass(LABELS))
    record = {"name": "lenet5", "input_shape": list(preprocess.shape), "num_classes": 3, "options": {}}
    folder = bundle.begin(tmp_path / "run")
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "model": record})
    files.write_file(folder / "model.keras", lambda path: model.save(path))
    write_companions(folder, preprocess)
    bundle.finish(folder, tmp_path / "run")
    images = np.random.default_rng(1).integers(0, 256, (40, 28, 28, 1), np.uint8)
    answers = Predictor.load(tmp_path / "run").predict(images)
    opened = runtimes.open_runtime(tmp_path / "run")
    assert (opened.image, opened.outputs) == ((28, 28, 1), (3,))
    np.testing.assert_array_equal(softmax(opened.answer(images)).astype(np.float32), answers)
    logits = model.predict(images.astype(np.float32), verbose=0).astype(np.float64)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    assert answers.dtype == np.float32 and answers.std(0).min() > 0
    np.testing.assert_allclose(answers, exponentials / exponentials.sum(1, keepdims=True), atol=1e-5)


def test_a_file_is_served_without_tensorflow(shipped: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from imgrec.serving.predictor import Predictor\n"
        f"answers = Predictor.load({str(shipped)!r}).predict(np.zeros((1, 8, 6, 3), np.uint8))\n"
        "assert abs(answers.sum() - 1) < 1e-6\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 6, 3), np.float32),
        np.zeros((8, 6, 3), np.uint8),
        np.zeros((2, 6, 8, 3), np.uint8),
        np.zeros((2, 8, 6, 1), np.uint8),
    ],
)
def test_other_images_are_refused(shipped: Path, images: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"expected uint8 \[N, 8, 6, 3\]"):
        Predictor.load(shipped).predict(images)


def test_what_is_missing_is_named(shipped: Path, tmp_path: Path) -> None:
    (shipped.parent / "labels.txt").unlink()
    with pytest.raises(InputError, match=r"no labels\.txt beside it"):
        Predictor.load(shipped)
    (shipped.parent / "preprocess.json").unlink()
    with pytest.raises(InputError, match=r"no preprocess\.json and no labels\.txt beside it"):
        Predictor.load(shipped)
    with pytest.raises(InputError, match=r"no such file; there are: .*model\.tflite"):
        Predictor.load(shipped.with_name("other.tflite"))
    with pytest.raises(InputError, match=r"name one of them: .*model\.tflite"):
        Predictor.load(shipped.parent)
    with pytest.raises(InputError, match="no such run folder"):
        Predictor.load(tmp_path / "nowhere")


def test_files_that_do_not_belong_together_are_refused(shipped: Path) -> None:
    folder = shipped.parent
    write_companions(folder, task=Multiclass(("ant", "bee")))
    with pytest.raises(InputError, match=r"gives outputs of shape \[3\], labels\.txt asks for \[2\]"):
        Predictor.load(shipped)
    write_companions(folder, Preprocess(size=(8, 6), colour="grey"))
    words = r"model\.tflite: takes images of shape \[8, 6, 3\], preprocess\.json asks for \[8, 6, 1\]"
    with pytest.raises(InputError, match=words):
        Predictor.load(shipped)


@pytest.mark.parametrize("content", [b"", b"no flatbuffer", b"\x1c\0\0\0TFL3" + bytes(100)])
def test_a_damaged_file_is_refused(shipped: Path, content: bytes) -> None:
    shipped.write_bytes(content)
    with pytest.raises(InputError, match="not a model file that can be run here"):
        Predictor.load(shipped)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.h5"
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"expected a run folder or a \.tflite file"):
        Predictor.load(file)


def test_softmax_of_huge_logits() -> None:
    rows = np.array([[1e30, -1e30, 0.0], [-1e30, -1e30, -1e30]], np.float32)
    np.testing.assert_allclose(softmax(rows), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
