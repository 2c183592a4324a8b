"""A task, a method and a section of the report from outside: a file each, and nothing of imgrec is edited."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
WORDS = (
    "--model resnet8(width=8) --method shrink(weight=0.003) --no-flip --crop none --epochs 8 --qat-epochs 1"
)
WORDS += " --batch-size 32 --learning-rate 0.05 --precision float32 --no-tensorboard --checkpoint-every 4"


def toy(command: str, *words: str) -> list[str]:
    return [sys.executable, str(ROOT / "tests" / "toys" / "toy.py"), command, *words]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}


def bars(count: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    angles = draw.uniform(0, 180, count).astype(np.float32)
    images = draw.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    for image, angle in zip(images, np.radians(angles), strict=True):
        ends = [tuple(int(14 + sign * 11 * f(angle)) for f in (np.cos, np.sin)) for sign in (1, -1)]
        cv2.line(image, *ends, 220, 3)
    return images, angles


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> tuple[Path, str]:
    """The run folder of a training that was killed after its first checkpoint and begun again."""
    folder = tmp_path_factory.mktemp("toys")
    images, angles = bars(700)
    np.savez(folder / "bars.npz", images=images, labels=angles, classes=np.array(["angle"]))
    words = [*WORDS.split(), "--data", f"npz:{folder / 'bars.npz'}", "--out", str(folder / "run")]
    first = subprocess.Popen(toy("train", *words), env=environment, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while not list(folder.glob("run.unfinished/checkpoints/train/*-*")):
        assert first.poll() is None and time.monotonic() < end, "no checkpoint was written"
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = subprocess.run(toy("train", *words), env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    return folder / "run", again.stdout


def test_it_goes_on_after_a_kill_and_passes_the_gate(finished: tuple[Path, str]) -> None:
    run, said = finished
    assert "going on at epoch" in said
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["within"] > 0.8 and metrics["turned"]["within"] == metrics["test"]["within"]
    assert metrics["exports"]["failures"] == []
    assert [row["name"] for row in metrics["exports"]["files"]] == ["float32", "ptq_int8", "qat_int8"]
    assert json.loads((run / "task.json").read_text())["task"] == "angle"
    assert f"test: {metrics['test']['within']:.4f} within 20°" in said


def test_the_report_shows_the_task_and_the_section(finished: tuple[Path, str]) -> None:
    page = (finished[0] / "report" / "index.html").read_text()
    assert "is right to 20° on" in page and "Mean error" in page and "Turned bars" in page
    assert "Confusion" not in page


@pytest.mark.parametrize("model", ["", "exports/qat_int8.tflite"])
def test_the_run_and_its_file_predict(
    finished: tuple[Path, str], environment: dict[str, str], tmp_path: Path, model: str
) -> None:
    images, angles = bars(5)
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    words = [str(tmp_path), "--run", str(finished[0] / model), "--json"]
    done = subprocess.run(toy("predict", *words), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = np.array([json.loads(line)["angle"] for line in done.stdout.splitlines()])
    assert (np.abs((said - angles + 90) % 180 - 90) < 20).mean() >= 0.8


def test_what_the_task_refuses_is_named(
    finished: tuple[Path, str], environment: dict[str, str], tmp_path: Path
) -> None:
    data = f"npz:{finished[0].parent / 'bars.npz'}"
    done = subprocess.run(
        toy("train", "--data", data, "--out", str(tmp_path / "run")),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.endswith("error: --flip: a mirrored bar is turned the other way: --no-flip\n")
