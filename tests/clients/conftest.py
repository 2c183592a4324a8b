"""Real clients, each in an environment of its own, and runs whose files they open: grey, colour, multi-label.

Environments are built once a session, from the package registries; without these the slow tests fail.
"""

import shutil
import venv
from collections.abc import Callable
from pathlib import Path

import client_pictures
import cv2
import numpy as np
import pytest
from shipped_runs import ROOT, Shipped, run

WEB = ROOT / "examples" / "web"
COLOUR = (44, 44)
TRAINED = ["--model", "lenet5", "--precision", "float32", "--no-tensorboard", "--optimizer", "adamw"]
TRAINED += ["--learning-rate", "0.002", "--no-flip"]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make an environment of these packages, and return its Python."""

    def made(*packages: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        return python

    return made


@pytest.fixture(scope="session")
def mediapipe_python(environment: Callable[..., Path]) -> Path:
    """It brings an OpenCV that clashes with ours."""
    return environment("mediapipe==1.2.3")


@pytest.fixture(scope="session")
def litert_python(environment: Callable[..., Path]) -> Path:
    """What `examples/python_litert.py` asks for, and nothing else."""
    return environment("ai-edge-litert==2.3.0", "numpy==2.4.6", "pillow==13.0.0")


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder as a user has it after `npm install`."""
    folder = tmp_path_factory.mktemp("web") / "web"
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("node_modules", "*.tflite"))
    run("npm", "install", "--no-audit", "--no-fund", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """The embedded sample; `other` are its test images, enlarged."""
    from imgrec.data.sources.sample import load_sample
    from pipelines import train

    folder = tmp_path_factory.mktemp("grey")
    words = ["--data", "sample", "--epochs", "2", "--qat-epochs", "1", "--quantize", "qat"]
    assert train.main([*words, "--out", str(folder / "run"), *TRAINED]) == 0
    for number, image in enumerate(load_sample().test.images[::8]):
        client_pictures.write(folder / "own" / f"{number:03d}.png", image)
        large = cv2.resize(image, (200, 200), interpolation=cv2.INTER_CUBIC)
        client_pictures.write(folder / "other" / f"{number:03d}.png", large[..., np.newaxis])
    return Shipped(folder / "run" / "exports", folder / "own", folder / "other")


@pytest.fixture(scope="session")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """One shape a picture, letterboxed."""
    folder = tmp_path_factory.mktemp("colour")
    data = client_pictures.folder_of_classes(folder / "data", 150, COLOUR)
    return _of_shapes(folder, str(data), ["--resize", "letterbox"], 1)


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """None to all shapes a picture, cropped."""
    folder = tmp_path_factory.mktemp("several")
    return _of_shapes(folder, f"csv:{client_pictures.table_of_labels(folder / 'data', 500, COLOUR)}", [], 2)


def _of_shapes(folder: Path, data: str, words: list[str], shapes: int) -> Shipped:
    from pipelines import train

    words = ["--data", data, "--epochs", "12", "--batch-size", "32", "--quantize", "ptq", *words]
    train.main([*words, "--image-size", str(COLOUR[0]), "--out", str(folder / "run"), *TRAINED])
    for kind, size in (("own", COLOUR), ("other", (120, 152))):
        for number in range(250):
            shown = [
                list(client_pictures.SHAPES)[(number + k) % len(client_pictures.SHAPES)]
                for k in range(shapes)
            ]
            image = client_pictures.picture(shown, size, 10_000 + number)
            client_pictures.write(folder / kind / f"{number:03d}.png", image)
    return Shipped(folder / "run" / "exports", folder / "own", folder / "other")
