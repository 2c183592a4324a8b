"""The quantised models as int8 ONNX files, and OpenVINO on all files: they answer as the model does."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from quantized_nets import CLASSES, Tuned, pictures

from imgrec.artefact import SCORES
from imgrec.data.preprocess import Preprocess
from imgrec.engines.openvino_folder import OpenVinoModel
from imgrec.export import litert, onnx_file, openvino_folder, triton
from imgrec.export.card import Card, answering
from imgrec.layers.fake_quant import ActivationRange, nudge
from imgrec.runtimes import open_runtime
from imgrec.tasks.multiclass import Multiclass

IMAGES, _ = pictures(400, seed=9)
CARD = Card("net", "made for a test", Multiclass(tuple(map(str, range(CLASSES)))), Preprocess((16, 16)))
MIN_AGREEMENT = 0.99


def scores_of(tuned: Tuned, quantized: bool) -> np.ndarray:
    model = tuned.quantized if quantized else tuned.float_model
    return answering(model, CARD).predict(IMAGES.astype("float32"), verbose=0)


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    return float((one.argmax(1) == other.argmax(1)).mean())


@pytest.fixture(scope="module")
def int8_file(tuned: Tuned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_file.to_int8(tuned.quantized, tmp_path_factory.mktemp(tuned.name) / "qat_int8.onnx", CARD)


def test_the_file_answers_as_the_model(tuned: Tuned, int8_file: Path) -> None:
    given = open_runtime(int8_file, 1).answer(IMAGES)
    assert agreement(given, scores_of(tuned, quantized=True)) >= MIN_AGREEMENT


def test_learned_ranges_are_the_scales_of_uint8_pairs(tuned: Tuned, int8_file: Path) -> None:
    graph = onnx.load(int8_file).graph
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    pairs = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert pairs and {values[node.input[2]].dtype.name for node in pairs} == {"uint8"}
    held = np.array([float(values[node.input[1]]) for node in pairs])
    for layer in tuned.quantized.layers:
        if isinstance(layer, ActivationRange) and layer.high is None:
            low, high = nudge(*layer.ends(), np)
            assert np.isclose(held, float(high - low) / 255, rtol=1e-5).any(), layer.name


def test_weights_are_int8_and_biases_int32(int8_file: Path) -> None:
    graph = onnx.load(int8_file).graph
    values = {each.name: each.data_type for each in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            kinds = [values[makers[name].input[0]] for name in node.input[1:]]
            assert kinds == [onnx.TensorProto.INT8, onnx.TensorProto.INT32][: len(kinds)], node.name
    assert graph.output[0].name == SCORES and graph.node[0].op_type != "Cast"


def test_openvino_runs_every_file(tuned: Tuned, int8_file: Path, tmp_path: Path) -> None:
    floats, rounded = scores_of(tuned, quantized=False), scores_of(tuned, quantized=True)
    made = (
        (onnx_file.to_float32(tuned.float_model, tmp_path / "f.onnx", CARD), floats, 1.0),
        (litert.to_float32(tuned.float_model, tmp_path / "f.tflite", CARD), floats, 1.0),
        (litert.to_int8(tuned.quantized, tmp_path / "q.tflite", CARD), rounded, MIN_AGREEMENT),
        (int8_file, rounded, MIN_AGREEMENT),
    )
    for path, expected, least in made:
        assert agreement(OpenVinoModel(path)(IMAGES), expected) >= least, path.name


def test_folders_for_servers_answer_alike(tuned: Tuned, tmp_path: Path) -> None:
    if tuned.name != "conv_net":
        pytest.skip("one network says it")
    expected = scores_of(tuned, quantized=True)
    for write, ending in ((triton.to_int8, ".triton"), (openvino_folder.to_int8, ".openvino")):
        path = write(tuned.quantized, tmp_path / f"qat_int8{ending}", CARD)
        runtime = open_runtime(path, 1)
        assert agreement(runtime.answer(IMAGES), expected) >= MIN_AGREEMENT and runtime.scored
        assert {"labels.txt", "preprocess.json", "task.json"} <= set(runtime.texts)
    files = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    names = {"labels.txt", "preprocess.json", "task.json"}
    assert files == {f"qat_int8.triton/net/{name}" for name in {*names, "1/model.onnx", "config.pbtxt"}} | {
        f"qat_int8.openvino/1/{name}" for name in {*names, "model.xml", "model.bin"}
    }
    config = (tmp_path / "qat_int8.triton" / "net" / "config.pbtxt").read_text()
    assert 'name: "image", data_type: TYPE_UINT8, dims: [ 16, 16, 3 ]' in config
    assert f'name: "{SCORES}", data_type: TYPE_FP32, dims: [ {CLASSES} ]' in config
