"""SavedModel folders: laid out for a server, both ways in, and how near the graph's pixels are to ours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from cards import card

from imgrec.data.preprocess import Preprocess
from imgrec.engines.saved_model import SavedModel
from imgrec.errors import InputError
from imgrec.export import saved_model
from imgrec.export.card import Card, answering
from imgrec.export.in_graph import prepare
from imgrec.models import build_model
from imgrec.runtimes import open_runtime

SIZES = [(40, 40), (97, 61), (20, 133), (300, 411)]


def encoded(height: int, width: int, ending: str) -> bytes:
    """Smooth colours with some noise, as JPEG or PNG."""
    draw = np.random.default_rng(height)
    small = draw.integers(0, 256, (6, 8, 3), np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(int)
    noisy = np.clip(image + draw.integers(-20, 21, image.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(ending, noisy)[1].tobytes()


@pytest.mark.parametrize("resize", ["crop", "letterbox", "stretch"])
@pytest.mark.parametrize("colour", ["rgb", "grey"])
def test_pixels_in_the_graph_are_ours_within_one(resize: str, colour: str) -> None:
    description = Preprocess((40, 40), colour, resize, crop_fraction=0.9)  # type: ignore[arg-type]
    for size in SIZES:
        for ending in (".jpg", ".png"):
            data = encoded(*size, ending)
            expected = description.on_bytes(data).astype(int)
            given = prepare(tf.constant(data), description).numpy()
            assert given.shape == expected.shape and (given == np.round(given)).all()
            assert np.abs(given - expected).max() <= 1, (size, ending)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card, np.ndarray]:
    model, own = build_model("lenet5", (28, 28, 1), 5), card("lenet5", 28, "grey")
    path = saved_model.to_float32(model, tmp_path_factory.mktemp("saved") / "float32.savedmodel", own)
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8)
    return path, own, answering(model, own).predict(images.astype("float32"), verbose=0)


def test_both_signatures_answer(made: tuple[Path, Card, np.ndarray]) -> None:
    path, own, expected = made
    runtime = open_runtime(path)
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8)
    np.testing.assert_allclose(runtime.answer(images), expected, atol=1e-5)
    assert runtime.scored and runtime.takes((28, 28, 1)) and runtime.image == (28, 28, 3)
    png = [cv2.imencode(".png", image)[1].tobytes() for image in images]
    np.testing.assert_allclose(SavedModel(path).of_bytes(png), expected, atol=1e-5)
    assert runtime.texts == dict(own.companions)


def test_a_server_finds_versions_and_names(made: tuple[Path, Card, np.ndarray]) -> None:
    path, own, _ = made
    assert (path / "1" / "saved_model.pb").is_file() and [each.name for each in path.iterdir()] == ["1"]
    signatures = tf.saved_model.load(str(path / "1")).signatures
    assert set(signatures) == {"serving_default", "bytes"}
    given = signatures["serving_default"](image=tf.zeros((2, 28, 28, 3), tf.uint8))
    assert [name.decode() for name in given["classes"].numpy()[1]] == list(own.task.classes)


def test_adaptive_steps_leave_no_way_in_for_bytes(tmp_path: Path) -> None:
    own = card("lenet5", 28, "grey", adapt="lowlight(128)")
    path = saved_model.to_float32(build_model("lenet5", (28, 28, 1), 5), tmp_path / "a.savedmodel", own)
    with pytest.raises(InputError, match="no signature of bytes"):
        SavedModel(path).of_bytes([b""])


def test_what_is_no_saved_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.savedmodel").mkdir()
    with pytest.raises(InputError, match="no folder of a version"):
        open_runtime(tmp_path / "empty.savedmodel")
    (tmp_path / "empty.savedmodel" / "1").mkdir()
    with pytest.raises(InputError, match="not a SavedModel"):
        open_runtime(tmp_path / "empty.savedmodel")
