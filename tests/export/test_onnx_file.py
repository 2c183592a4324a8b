"""ONNX files answer as Keras does, for any number of images, say what they are, and need no TensorFlow."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from cards import card

from imgrec.errors import InputError
from imgrec.export import onnx_file
from imgrec.export.card import answering
from imgrec.export.litert import ExportError
from imgrec.export.qdq import steps_of
from imgrec.models import MODELS, build_model, info
from imgrec.runtimes import open_runtime

LARGE, MIN_SIZE = 60e6, 32
# A network of each kind: plain and grey, residual, exact GELU with attention, hard curves with SE.
QUICK = {"lenet5": 1, "resnet8": 3, "vit_small_image": 3, "mobilenet_v3_small": 3}


def distance(name: str, channels: int, folder: Path) -> float:
    """The largest difference of probabilities between a small form of the model and its file."""
    keras.utils.set_random_seed(0)
    size = max(info(name).min_size, MIN_SIZE)
    model = build_model(name, (size, size, channels), 5)
    draw = np.random.default_rng(1)
    for variable in model.trainable_variables:
        if len(variable.shape) == 1:  # biases that are all zero would be left out of the file
            variable.assign(variable.numpy() + draw.normal(0, 0.05, variable.shape))
    made_of = card(name, size, "grey" if channels == 1 else "rgb")
    path = onnx_file.to_float32(model, folder / f"{name}.onnx", made_of)
    images = draw.integers(0, 256, (5, size, size, channels), np.uint8)
    expected = answering(model, made_of).predict(images.astype("float32"), verbose=0)
    return float(np.abs(open_runtime(path, 1).answer(images) - expected).max())


@pytest.mark.parametrize("name", QUICK)
def test_a_file_gives_the_models_probabilities(name: str, tmp_path: Path) -> None:
    assert distance(name, QUICK[name], tmp_path) < 1e-5
    held = onnx.load(tmp_path / f"{name}.onnx")
    assert [(each.domain, each.version) for each in held.opset_import if not each.domain] == [("", 18)]
    assert {node.domain for node in held.graph.node} == {""}
    assert "Erfc" not in {node.op_type for node in held.graph.node}
    keras.backend.clear_session()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(MODELS) - set(QUICK)))
def test_every_model_of_the_zoo_has_a_file(name: str, tmp_path: Path) -> None:
    if info(name).parameters > LARGE:
        pytest.skip("the same blocks as its smaller kin, at gigabytes of memory")
    assert distance(name, 3, tmp_path) < 1e-4
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def grey_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = build_model("lenet5", (28, 28, 1), 5)
    return onnx_file.to_float32(model, tmp_path_factory.mktemp("onnx") / "f.onnx", card("lenet5", 28, "grey"))


def test_a_file_says_what_it_is(grey_file: Path) -> None:
    held = onnx.load(grey_file)
    (taken,), (given,) = held.graph.input, held.graph.output
    assert (taken.name, given.name) == ("image", "probabilities")
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [side.dim_param or side.dim_value for side in taken.type.tensor_type.shape.dim] == ["N", 28, 28, 3]
    texts = {entry.key: entry.value for entry in held.metadata_props}
    assert texts["labels.txt"].split("\n")[:2] == ["class 0", "class 1"]
    assert json.loads(texts["preprocess.json"])["colour"] == "grey" and "task.json" in texts
    assert held.doc_string == "made for a test" and held.producer_name == "imgrec"
    assert [each.name for each in grey_file.parent.iterdir()] == ["f.onnx"]


def test_any_number_of_images(grey_file: Path) -> None:
    runtime = open_runtime(grey_file, 1)
    images = np.random.default_rng(0).integers(0, 256, (70, 28, 28, 1), np.uint8)
    together = runtime.answer(images)
    assert together.shape == (70, 5) and runtime.scored and runtime.takes((28, 28, 1))
    np.testing.assert_allclose(runtime.timed(images)[0], together, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-5)


def test_a_file_runs_without_tensorflow(grey_file: Path) -> None:
    code = (
        "import sys, numpy as np; from imgrec.serving.predictor import Predictor\n"
        f"p = Predictor.load({str(grey_file)!r})\n"
        "print(p.predict(np.zeros((2, 28, 28, 1), np.uint8)).shape)\n"
        "assert p.labels[4] == 'class 4' and not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "(2, 5)\n"


def test_a_damaged_file_is_named(tmp_path: Path, grey_file: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(grey_file.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"broken\.onnx: not an ONNX file that can be run here"):
        open_runtime(broken)


def test_what_onnx_does_not_have_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    flat = keras.layers.Flatten()(keras.ops.erfinv(image * 0.001))
    model = keras.Model(image, keras.layers.Dense(5, name="logits")(flat), name="odd")
    with pytest.raises(ExportError):
        onnx_file.to_float32(model, tmp_path / "x.onnx", card("odd", 8))
    assert not any(tmp_path.iterdir())


def test_steps_are_found_again() -> None:
    draw = np.random.default_rng(0)
    levels = draw.integers(-127, 128, (3, 50))
    levels[:, 0] = (127, -127, 101)  # of a learned step the largest weight is any level
    levels[1] = np.sign(levels[1]) * (np.abs(levels[1]) // 16)  # four bits
    steps = np.array([0.003, 0.7, 1e-5], np.float32)
    found = steps_of((levels * steps[:, None]).astype(np.float32))
    assert found is not None
    whole = levels * steps[:, None] / found[:, None]
    assert np.abs(whole - np.rint(whole)).max() < 2e-3 and np.abs(whole).max() <= 127.01
    assert steps_of(np.zeros((2, 4), np.float32)) is not None
    assert steps_of(draw.normal(size=(3, 50)).astype(np.float32)) is None, "never rounded"
