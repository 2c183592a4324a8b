"""What opens a file: as many outputs as images, one interpreter for gate and serving, and a clear no."""

import time
from pathlib import Path

import keras
import numpy as np
import pytest

from imgrec import runtimes
from imgrec.errors import InputError
from imgrec.export import litert
from imgrec.runtimes import Runtime, of_model, open_runtime


def linear(outputs: int = 3) -> keras.Model:
    """A model of 4 × 2 grey pixels whose outputs are weighted sums of them."""
    image = keras.Input((4, 2, 1), name="image")
    model = keras.Model(
        image,
        keras.layers.Dense(outputs, name="logits")(keras.layers.Flatten(name="flat")(image)),
        name="lin",
    )
    weights = np.random.default_rng(0).normal(0, 0.1, (8, outputs))
    model.get_layer("logits").set_weights([weights.astype("float32"), np.zeros(outputs, "float32")])
    return model


IMAGES = np.random.default_rng(1).integers(0, 256, (70, 4, 2, 1), np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return litert.to_float32(linear(), tmp_path / "float32.tflite")


def test_a_file_and_its_model_give_the_same(file: Path) -> None:
    expected = IMAGES.reshape(70, 8).astype(np.float64) @ linear().get_layer("logits").get_weights()[0]
    for runtime in (open_runtime(file), open_runtime(str(file), num_threads=1), of_model(linear())):
        assert (runtime.image, runtime.outputs) == ((4, 2, 1), (3,))
        given = runtime.answer(IMAGES)
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-4)
    assert open_runtime(file).name == str(file) and of_model(linear()).name == "lin"


def test_one_at_a_time_takes_the_seconds_it_takes() -> None:
    seen = []

    def answer(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        time.sleep(0.02 if images[0, 0, 0, 0] else 0)
        return np.full((1, 2), images[0, 0, 0, 0], np.float32)

    pixels = np.array([0, 9, 0, 4], np.uint8).reshape(4, 1, 1, 1)
    outputs, seconds = Runtime("toy", (1, 1, 1), (2,), answer).timed(pixels)
    assert [part.shape for part in seen] == [(1, 1, 1, 1)] * 4
    assert outputs.dtype == np.float32 and outputs.tolist() == [[0, 0], [9, 9], [0, 0], [4, 4]]
    assert (seconds > 0.02).tolist() == [False, True, False, True]


def test_the_gate_s_outputs_are_those_that_are_served(file: Path) -> None:
    one_by_one, seconds = open_runtime(file, num_threads=1).timed(IMAGES)
    assert np.array_equal(one_by_one, open_runtime(file).answer(IMAGES))
    assert seconds.shape == (70,) and seconds.min() > 0


def test_a_format_of_one_s_own_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_weights(path: Path, num_threads: int | None = None) -> Runtime:
        weights = np.load(path).astype(np.float32)
        return Runtime(
            str(path), (4, 2, 1), weights.shape[1:], lambda images: images.reshape(-1, 8) @ weights
        )

    np.save(tmp_path / "weights.npy", linear().get_layer("logits").get_weights()[0])
    with pytest.raises(InputError, match=r"weights\.npy: expected a run folder or a \.tflite file"):
        open_runtime(tmp_path / "weights.npy")
    monkeypatch.setitem(runtimes.RUNTIMES, ".npy", open_weights)
    given = open_runtime(tmp_path / "weights.npy").answer(IMAGES)
    np.testing.assert_allclose(given, of_model(linear()).answer(IMAGES), rtol=1e-5, atol=1e-4)
    with pytest.raises(InputError, match=r"no such file; there are: .*weights\.npy"):
        open_runtime(tmp_path / "other.npy")
    with pytest.raises(InputError, match=r"or a \.tflite file or .* or a \.npy file"):
        open_runtime(Path(__file__))


def test_what_is_no_image_in_and_one_answer_out_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    def write(shape: tuple[int, ...], dtype: str) -> Path:
        function = tf.function(
            lambda x: tf.reshape(tf.cast(x, "float32"), (shape[0], -1)) + 1, [tf.TensorSpec(shape, dtype)]
        )
        made = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], tf.Module()
        )
        path = tmp_path / f"{dtype}.tflite"
        path.write_bytes(made.convert())
        return path

    with pytest.raises(InputError, match=r"takes int32 pixels, expected uint8 or float32"):
        open_runtime(write((1, 4, 2, 1), "int32"))
    with pytest.raises(
        InputError, match=r"takes \[\(2, 4, 2, 1\)\] and gives \[\(2, 8\)\], expected one image"
    ):
        open_runtime(write((2, 4, 2, 1), "uint8"))
