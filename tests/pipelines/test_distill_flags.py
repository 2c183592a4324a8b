"""--teacher: a student trained by the command, quantised with its teacher, and resumed with no other one."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imgrec import bundle
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning.distillation import Distill, Distilled
from imgrec.runs.training import train
from imgrec.training import phase as phases


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, and the run that teaches."""
    folder = tmp_path_factory.mktemp("taught")
    draw, labels = np.random.default_rng(0), np.arange(120) % 2
    images = draw.integers(0, 80, (120, 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 150
    images[labels == 1, :, ::4] += 150
    np.savez(folder / "stripes.npz", images=images, labels=labels)
    assert train(settings(folder, "teacher", model="resnet8(width=12)", epochs=2)) == 0
    return folder


def settings(folder: Path, out: str, **more: Any) -> Config:
    given: dict[str, Any] = {
        "data": f"npz:{folder / 'stripes.npz'}",
        "model": "resnet8(width=8)",
        "out": str(folder / out),
        "quantize": "none",
        "epochs": 1,
        "batch_size": 14,
        "crop": "none",
        "precision": "float32",
        "tensorboard": False,
    }
    return Config().replace(**{**given, **more})


def test_a_student_is_trained_and_quantised_with_its_teacher(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = []

    def noted(self: Distill, *args: Any) -> phases.Phase:
        tuned.append(own(self, *args))
        return tuned[-1]

    own = Distill.fine_tuning
    monkeypatch.setattr(Distill, "fine_tuning", noted)
    teacher = str(folder / "teacher")
    config = settings(folder, "student", teacher=teacher, quantize="qat", qat_epochs=1)
    train(config)
    said = capsys.readouterr().out
    assert f"taught by {teacher} (resnet8)" in said and "a teacher's answers of 84 train images" in said
    run = json.loads((folder / "student" / "run.json").read_text())
    [record] = run["teachers"]
    assert record["fingerprint"] == bundle.read(teacher).manifest["model.keras"]
    assert record["data"] == run["data"]["fingerprint"] and "learned from other images" not in said
    [phase] = tuned
    assert isinstance(phase.part, Distilled)
    assert any(
        "int8" in layer.name or "quant" in type(layer).__name__.lower()
        for layer in phase.part._flatten_layers()
    )
    # What is saved is the student and nothing else.
    model = bundle.load(folder / "student").model
    assert isinstance(model, keras.Model) and len(model.outputs) == 1


def test_another_teacher_is_refused_when_a_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imgrec.runs import results

    class Stopped(Exception):
        pass

    def stop(*args: Any) -> None:
        raise Stopped

    config = settings(folder, "going_on", teacher=str(folder / "teacher"))
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(results, "finish", stop)
        train(config)
    with pytest.raises(InputError, match=r"the teachers changed \(.* → none\)"):
        train(config.replace(teacher=""))
    assert train(config) == 0


def test_other_images_are_told_and_other_classes_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(folder, "other", teacher=str(folder / "teacher"), seed=1, crop="pad", mixup=0.2)
    assert train(config) == 0
    assert "learned from other images, or another division of them" in capsys.readouterr().out
    with pytest.raises(InputError, match="other classes"):
        train(config.replace(data="sample"))
