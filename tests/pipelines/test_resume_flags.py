"""A run that was stopped, and the same command again; and other commands."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgrec import bundle
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.files import sha256_of
from imgrec.runs import resume
from imgrec.training import leg
from imgrec.training.checkpointing import callback as saver
from pipelines import train

WORDS = [
    "--model",
    "resnet8(width=4)",
    "--epochs",
    "3",
    "--batch-size",
    "16",
    "--no-audit",
]
WORDS += ["--learning-rate", "0.05", "--no-tensorboard", "--calibration-images", "16", "--qat-epochs", "2"]


def save(path: Path, labels: np.ndarray) -> Path:
    images = np.random.default_rng(0).integers(0, 100, (120, 12, 12), np.uint8)
    images[np.arange(120) % 2 == 0, ::3] += 100
    np.savez(path, images=images, labels=labels)
    return path


def stop_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Let SIGTERM come at this step of the process."""
    left = [step]

    class Stopping(saver.StepCounter):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_train_batch_end(batch, logs)
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGTERM)

    patch.setattr(leg, "StepCounter", Stopping)


def run_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def test_the_same_command_goes_on_and_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = save(tmp_path / "data.npz", np.arange(120) % 2), tmp_path / "run"
    words = ["--data", f"npz:{data}", "--out", str(out), "--quantize", "none", *WORDS]
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stopped:
        stop_at(patch, 8)  # of 6 an epoch
        train.main(words)
    assert stopped.value.code == 143
    assert "saved at epoch 2, after step 2; the same command goes on" in capsys.readouterr().out
    folder = bundle.staging_of(out)

    with pytest.raises(InputError, match=r"--learning-rate was 0\.05, is 0\.1\. Ask.*--restart") as error:
        train.main([*words, "--learning-rate", "0.1", "--epochs", "4"])
    assert "--epochs was 3, is 4" in str(error.value)
    other = save(tmp_path / "other.npz", (np.arange(120) + (np.arange(120) == 7)) % 2)
    with pytest.raises(
        InputError, match=r"the data changed \(images: train 84 → 84, .*; fingerprint \w{12} → "
    ):
        train.main([*words, "--data", f"npz:{other}"])
    with pytest.raises(InputError, match="--resume: no unfinished run"):
        train.main(["--resume", "--out", str(tmp_path / "absent")])
    anew = Config().replace(restart=True, out=str(out))
    assert resume.find(out, anew) is None
    with pytest.raises(InputError, match="name one"):
        resume.find(out, anew.replace(resume=True))
    assert not out.exists()
    precision = run_json(folder)["machine"]["precision"].split()[0]

    # Data at another place, and another distance of checkpoints, are no other run.
    os.replace(data, tmp_path / "moved.npz")
    again = [*words, "--resume", "--data", f"npz:{tmp_path / 'moved.npz'}", "--checkpoint-every", "1e"]
    capsys.readouterr()
    assert train.main(again) == 0
    assert "\ngoing on at epoch 2, after step 2\n" in capsys.readouterr().out
    assert set(bundle.read(out).manifest) >= {"model.keras", "history.csv", "report/index.html"}
    assert not (out / bundle.CHECKPOINTS).exists()
    assert not folder.exists()
    [start] = run_json(out)["resumed"]
    assert start["machine"]["precision"] == precision
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    folder = bundle.begin(tmp_path / "run")
    child = os.fork()
    if not child:
        bundle._claims.clear()  # as a process that has not claimed it
        try:
            bundle.begin(tmp_path / "run")
        except InputError as error:
            os._exit(2 if "another process is writing this run" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert folder.is_dir()
    assert bundle.begin(tmp_path / "run") == folder, "its own process may"


@pytest.mark.slow
def test_a_run_stopped_in_fine_tuning_ships_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save(tmp_path / "data.npz", np.arange(120) % 2)
    words = ["--data", f"npz:{data}", *WORDS, "--precision", "float32"]
    assert train.main([*words, "--out", str(tmp_path / "whole")]) in (0, 1)
    for step in (8, 3 * 6 - 8 + 5):  # in training, then in fine-tuning, one step before the end of its epoch
        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            stop_at(patch, step)
            train.main([*words, "--out", str(tmp_path / "stopped")])
    capsys.readouterr()
    assert train.main([*words, "--out", str(tmp_path / "stopped")]) in (0, 1)
    said = capsys.readouterr().out
    assert "\ntrained already\n" in said
    assert "going on at epoch 1, after step 4\n" in said
    for name in ("float32.tflite", "ptq_int8.tflite", "qat_int8.tflite"):
        one, two = (sha256_of(tmp_path / run / "exports" / name) for run in ("whole", "stopped"))
        assert one == two, name
    assert sha256_of(tmp_path / "whole/predictions.csv") == sha256_of(tmp_path / "stopped/predictions.csv")
