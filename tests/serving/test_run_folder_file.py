"""A run folder answers with its float32 file where that was proven to give the Keras model's answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from imgrec import bundle, files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.serving.predictor import Predictor
from imgrec.tasks.multiclass import Multiclass

PREPROCESS = Preprocess(size=(28, 28), colour="grey")
TASK = Multiclass(("ant", "bee", "cat"))
PROVEN = {"name": "float32", "agreement": 1.0, "max_abs_difference": 1e-5}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with its Keras model, the float32 file and the gate's figures."""
    from imgrec.export import litert
    from imgrec.models import build_model

    out = tmp_path_factory.mktemp("runs") / "run"
    model = build_model("lenet5", input_shape=PREPROCESS.shape, num_classes=3)
    record = {"name": "lenet5", "input_shape": list(PREPROCESS.shape), "num_classes": 3, "options": {}}
    folder = bundle.begin(out)
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "model": record})
    files.write_file(folder / "model.keras", lambda path: model.save(path))
    for part in (folder, folder / "exports"):
        files.write_text(part / "preprocess.json", PREPROCESS.to_json())
        tasks.write(part, TASK)
    litert.to_float32(model, folder / "exports" / "float32.tflite")
    files.write_json(folder / "metrics.json", measured())
    bundle.finish(folder, out)
    return out


def measured(failures: tuple[str, ...] = (), **changes: float) -> dict[str, Any]:
    return {"exports": {"images": 9, "files": [{**PROVEN, **changes}], "failures": list(failures)}}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(3)
    paths = [tmp_path / f"{number}.png" for number in range(12)]
    for path in paths:
        assert cv2.imwrite(str(path), rng.integers(0, 256, (31, 40, 3), np.uint8))
    return paths


def test_the_answers_are_the_keras_model_s(whole: Path, photos: list[Path]) -> None:
    file, model = Predictor.load(whole), Predictor.load(whole, keras_itself=True)
    assert file.runtime.name.endswith("float32.tflite") and model.runtime.name == "lenet5"
    for one, other in zip(file.answers(photos, 3), model.answers(photos, 3), strict=True):
        assert one["path"] == other["path"]
        assert [entry["label"] for entry in one["top"]] == [entry["label"] for entry in other["top"]]
        for mine, theirs in zip(one["top"], other["top"], strict=True):
            assert abs(mine["probability"] - theirs["probability"]) < 1e-5


@pytest.mark.parametrize(
    "figures",
    [
        measured(agreement=0.999),
        measured(max_abs_difference=0.01),
        measured(("float32: accuracy 90 % is 5 points below",)),
        {"test": {}},
    ],
)
def test_a_file_that_is_not_proven_does_not_answer(whole: Path, tmp_path: Path, figures: dict) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    files.write_json(copy / "metrics.json", figures)
    bundle.write_manifest(copy)
    assert Predictor.load(copy).runtime.name == "lenet5"


def test_the_manifest_is_checked_first(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    (copy / "exports" / "float32.tflite").write_bytes(b"another")
    with pytest.raises(InputError, match=r"float32\.tflite is not the file the manifest lists"):
        Predictor.load(copy)


def test_a_run_folder_answers_without_tensorflow(whole: Path, photos: list[Path]) -> None:
    words = [str(photos[0]), "--run", str(whole), "--json"]
    code = (
        "import sys\nfrom pipelines import predict\n"
        f"assert predict.main({words!r}) == 0\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] in TASK.classes
