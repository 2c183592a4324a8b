"""Model files made to do harm, one for each known weakness of Keras's loader and of what it reads.

Whoever hands on a run folder writes its manifest too: every file comes in a folder whose manifest fits.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from archives import ARCHIVES, OBEYED_ONLY_BY_CONFIG
from canary import silence
from configs import CONFIGS
from run_folder import MODEL, forged

from imgrec import bundle
from imgrec.errors import InputError
from imgrec.models.pretrained import read_state
from imgrec.serving.predictor import Predictor
from pipelines import evaluate, predict

REFUSED: dict[str, Callable[[bytes, Path, Path], bytes]] = ARCHIVES


def refused(call: Callable[[], object]) -> None:
    """Assert that a call ends with one line for the user."""
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500


def test_there_are_more_than_twenty() -> None:
    assert len(REFUSED) + len(OBEYED_ONLY_BY_CONFIG) >= 30
    assert sum("CVE-" in name for name in [*REFUSED, *OBEYED_ONLY_BY_CONFIG]) >= 12


def test_the_canary_sings_where_a_file_is_obeyed(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    layer = CONFIGS["CVE-2024-3660 code in a Lambda"](canary, tmp_path)
    obeying = keras.layers.Lambda.from_config(layer["config"], safe_mode=False)
    obeying(np.zeros((1, 2), np.float32))
    assert canary.exists()
    with pytest.raises(AssertionError), silence(canary, tmp_path / "none"):
        pass


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_archive_is_refused_on_every_path(
    name: str, good: Path, photo: Path, secret: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    data = REFUSED[name]((good / "model.keras").read_bytes(), canary, secret)
    run = forged(good, tmp_path / "run", lambda folder: (folder / "model.keras").write_bytes(data))
    lone = tmp_path / "lone.keras"
    lone.write_bytes(data)
    with silence(canary, secret):
        refused(lambda: bundle.load(run))
        refused(lambda: Predictor.load(run, keras_itself=True))
        refused(lambda: predict.main([str(photo), "--run", str(run), "--keras"]))
        refused(lambda: evaluate.main(["--run", str(run), "--out", str(tmp_path / "out")]))
        refused(lambda: predict.main([str(photo), "--run", str(lone)]))
        for ending in ("keras", "h5", "pth", "safetensors"):
            weights = shutil.copy(lone, tmp_path / f"weights.{ending}")
            refused(lambda weights=weights: read_state(weights))


@pytest.mark.parametrize("name", OBEYED_ONLY_BY_CONFIG)
def test_a_hostile_architecture_is_never_read(
    name: str, good: Path, photo: Path, secret: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    data = OBEYED_ONLY_BY_CONFIG[name]((good / "model.keras").read_bytes(), canary, secret)
    run = forged(good, tmp_path / "run", lambda folder: (folder / "model.keras").write_bytes(data))
    image = np.random.default_rng(1).integers(0, 256, (1, 28, 28, 1), np.uint8)
    with silence(canary, secret):
        loaded = Predictor.load(run, keras_itself=True)
        answer = loaded.predict(image)
        assert predict.main([str(photo), "--run", str(run), "--keras"]) == 0
    # The good architecture with the good weights: the config made no difference at all.
    np.testing.assert_array_equal(answer, Predictor.load(good, keras_itself=True).predict(image))


HUGE = 10**12
DEEP = '{"a":' * 100_000
SETTINGS: dict[str, dict[str, Any]] = {
    "a module for a name": {"model": {**MODEL, "name": "os.system"}},
    "a path for a name": {"model": {**MODEL, "name": "../../lenet5"}},
    "a list for a name": {"model": {**MODEL, "name": ["lenet5"]}},
    "classes for a petabyte": {"model": {**MODEL, "num_classes": HUGE}},
    "classes for 6 GB": {"model": {**MODEL, "num_classes": 15_000_000}},
    "an image of a petabyte": {"model": {**MODEL, "input_shape": [HUGE, HUGE, 1]}},
    "an image of 32 million pixels": {"model": {**MODEL, "input_shape": [4096, 8192, 1]}},
    "no shape": {"model": {"name": "lenet5"}},
    "no model": {"model": None},
    "an option of a petabyte": {"model": {**MODEL, "name": "resnet8", "options": {"width": 10**9}}},
    "an option that is none": {"model": {**MODEL, "options": {"__class__": "os.system"}}},
    "an object for an option": {
        "model": {**MODEL, "name": "resnet8", "options": {"width": {"module": "os", "class_name": "system"}}}
    },
    "another format": {"format": 2},
}
TEXTS: dict[str, tuple[str, str]] = {
    "JSON without an end": ("run.json", DEEP),
    "a key twice": ("run.json", '{"format": 1, "format": 1}'),
    "a list": ("run.json", "[]"),
    "a number": ("preprocess.json", "1e999"),
    "preparation without an end": ("preprocess.json", DEEP),
    "images of a petabyte": ("preprocess.json", '{"size": [1000000000, 1000000000]}'),
    "a cap that is none": ("preprocess.json", '{"size": [28, 28], "colour": "grey", "max_pixels": "all"}'),
    "a fill that is none": ("preprocess.json", '{"size": [28, 28], "colour": "grey", "fill": "x"}'),
    "a name that steers the terminal": ("labels.txt", "ant\nbee\n\x1b]0;owned\x07cat\n"),
    "a name twice": ("labels.txt", "ant\nant\ncat\n"),
    "a task by module": ("task.json", '{"format": 1, "task": "os.system"}'),
    "a task without an end": ("task.json", DEEP),
    "a task that is a list": ("task.json", "[1]"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_a_model_that_is_none_are_refused(name: str, good: Path, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        held = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**held, **SETTINGS[name]}))

    run = forged(good, tmp_path / "run", change)
    refused(lambda: bundle.load(run))
    refused(lambda: evaluate.main(["--run", str(run), "--out", str(tmp_path / "out")]))


@pytest.mark.parametrize("name", TEXTS)
def test_descriptions_that_are_none_are_refused(name: str, good: Path, photo: Path, tmp_path: Path) -> None:
    file, text = TEXTS[name]
    run = forged(good, tmp_path / "run", lambda folder: (folder / file).write_text(text))
    refused(lambda: bundle.read(run))
    refused(lambda: predict.main([str(photo), "--run", str(run)]))
    refused(lambda: evaluate.main(["--run", str(run), "--out", str(tmp_path / "out")]))


@pytest.mark.parametrize(
    "figures", ['{"exports": []}', '{"exports": {"files": 3}}', DEEP, '{"exports": {"files": [[]]}}']
)
def test_figures_that_are_none_are_refused(figures: str, good: Path, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        (folder / "metrics.json").write_text(figures)
        (folder / "exports" / "float32.tflite").write_bytes(b"none")

    run = forged(good, tmp_path / "run", change)
    refused(lambda: Predictor.load(run))
