"""Damaged .tflite, .onnx and .keras files: the command answers or refuses in one line, and lives on."""

import collections
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_folder import PREPROCESS, TASK

from imgrec.export.card import Card

HERE = Path(__file__).parent
FORMATS = ("tflite", "onnx", "keras")


@pytest.fixture(scope="session")
def sources(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A good file of each format, alone in a folder; what they need is inside."""
    from imgrec import bundle
    from imgrec.export import litert, onnx_file

    folder = tmp_path_factory.mktemp("sources")
    model = bundle.load(good).model
    card = Card("lenet5", "for a test", TASK, PREPROCESS)
    made = {name: folder / name / f"good.{name}" for name in FORMATS}
    for path in made.values():
        path.parent.mkdir()
    litert.to_float32(model, made["tflite"], card)
    onnx_file.to_float32(model, made["onnx"], card)
    shutil.copy(good / "model.keras", made["keras"])
    yield made


def survived(source: Path, count: int, seed: int, photo: Path, good: Path) -> dict[str, int]:
    """Return how often the command answered and how often it refused, of `count` mutants."""
    words = [
        sys.executable,
        str(HERE / "mutants.py"),
        str(source),
        str(count),
        str(seed),
        str(photo),
        str(good),
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    rows = collections.Counter(done.stdout.splitlines())
    assert done.returncode == 0, (done.returncode, sum(rows.values()), done.stderr[-2000:])
    assert sum(rows.values()) == count
    return dict(rows)


def check(source: Path, count: int, seed: int, photo: Path, good: Path) -> int:
    """Assert that every mutant was survived, and return how many were refused."""
    found = survived(source, count, seed, photo, good)
    print(source.suffix, found)
    assert set(found) <= {"answered", "refused", "no number"}, found
    return found["refused"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_survives(name: str, sources: dict[str, Path], photo: Path, good: Path) -> None:
    count = {"tflite": 25, "onnx": 15, "keras": 20}[name]
    assert check(sources[name], count, 0, photo, good) > count / 8, "hardly any damage"


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_command_survives_two_thousand(
    name: str, sources: dict[str, Path], photo: Path, good: Path
) -> None:
    count = {"tflite": 800, "onnx": 600, "keras": 600}[name]
    assert check(sources[name], count, 1, photo, good) > count / 4, "hardly any damage"
