"""The Open Inference Protocol by hand, and by Triton's own client."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear import LABELS, PREPROCESS, pictures, reference
from openapi_spec_validator import validate
from servers import Running, png, serving
from tritonclient import http as client

from imgrec.files import sha256_of
from imgrec.serving import openapi, protocol_v2
from imgrec.serving.predictor import Predictor
from imgrec.serving.refusal import RefusedError
from imgrec.serving.wire import NONE, Frame, Splitter, marks_of, packed_marks

INFER = "/v2/models/linear/infer"
IMAGES = pictures(3)


@pytest.fixture(scope="module")
def running(linear_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("v2") / "errors.txt"
    with serving(linear_file, log, "--workers", "1") as server:
        yield server
        assert log.read_text() == ""


def tensor(**more: Any) -> dict[str, Any]:
    return {"name": "pixels", "datatype": "UINT8", "shape": list(IMAGES.shape), **more}


def binary(elements: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)


def test_pixels_as_lists(running: Running) -> None:
    asked = {"id": "one", "inputs": [tensor(data=IMAGES.tolist())]}
    said = running.json(INFER, json.dumps(asked).encode(), Content_Type="application/json")
    assert (said["model_name"], said["id"]) == ("linear", "one")
    shares, answers = said["outputs"]
    assert (shares["name"], shares["datatype"], shares["shape"]) == ("probabilities", "FP32", [3, 3])
    np.testing.assert_allclose(np.reshape(shares["data"], (3, 3)), reference(IMAGES), atol=1e-5)
    labels = [LABELS[k] for k in reference(IMAGES).argmax(1)]
    assert [json.loads(each)["label"] for each in answers["data"]] == labels


def test_pictures_in_binary(running: Running) -> None:
    content = binary([png(image) for image in IMAGES])
    asked = {
        "inputs": [
            {
                "name": "image",
                "datatype": "BYTES",
                "shape": [3],
                "parameters": {"binary_data_size": len(content)},
            }
        ],
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
    }
    head = json.dumps(asked).encode()
    status, headers, body = running.ask(INFER, head + content, Inference_Header_Content_Length=str(len(head)))
    assert status == 200 and headers["Content-Type"] == "application/octet-stream"
    length = int(headers["Inference-Header-Content-Length"])
    assert json.loads(body[:length])["outputs"][0]["parameters"] == {"binary_data_size": 36}
    np.testing.assert_allclose(
        np.frombuffer(body[length:], "<f4").reshape(3, 3), reference(IMAGES), atol=1e-5
    )


def test_models_have_versions(running: Running, linear_file: Path) -> None:
    digest = sha256_of(linear_file)
    found = running.json("/v2/models/linear")
    assert (found["versions"], found["labels"], found["platform"]) == ([digest], list(LABELS), "tflite")
    assert found["inputs"][1] == {"name": "pixels", "datatype": "UINT8", "shape": [-1, *PREPROCESS.shape]}
    assert running.json(f"/v2/models/linear/versions/{digest}/ready")["ready"]
    assert running.json(f"/v2/models/linear/versions/{digest[:8]}") == found
    body = json.dumps({"inputs": [tensor(data=IMAGES.ravel().tolist())]}).encode()
    assert running.ask(f"/v2/models/linear/versions/{digest[:12]}/infer", body)[0] == 200
    for wrong in ("/v2/models/x", f"/v2/models/linear/versions/{digest[:7]}", "/v2/models/linear/versions/1"):
        assert running.ask(wrong)[0] == running.ask(f"{wrong}/infer", body)[0] == 404


PLAIN = {"data": IMAGES.ravel().tolist()}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "inputs: expected one tensor"),
    ({"inputs": []}, "expected one tensor"),
    ({"inputs": [7]}, "expected one tensor"),
    ({"inputs": [tensor(**PLAIN), tensor(**PLAIN)]}, "expected one tensor"),
    ({"inputs": [tensor(name="x", **PLAIN)]}, "no input of that name"),
    ({"inputs": [tensor()]}, "expected binary_data_size"),
    ({"inputs": [tensor(parameters={"binary_data_size": 5})]}, "expected binary_data_size"),
    ({"inputs": [tensor(parameters=[])]}, "parameters: expected a mapping"),
    ({"inputs": [tensor(datatype="FP32", **PLAIN)]}, "datatype UINT8"),
    ({"inputs": [tensor(shape=[3, 6, 8, 3], **PLAIN)]}, r"shape \[N, 8, 6, 3\]"),
    ({"inputs": [tensor(shape=[2, 8, 6, 3], **PLAIN)]}, "432 values, its shape says 288"),
    ({"inputs": [tensor(shape=[1 << 40, 8, 6, 3], **PLAIN)]}, "expected 64 at most"),
    ({"inputs": [tensor(shape=[-3, 8, 6, 3], **PLAIN)]}, "whole numbers of 1 or more"),
    ({"inputs": [tensor(shape=[True, 8, 6, 3], **PLAIN)]}, "whole numbers of 1 or more"),
    ({"inputs": [tensor(shape="3", **PLAIN)]}, "whole numbers of 1 or more"),
    ({"inputs": [tensor(data=[256] * 432)]}, "whole numbers of 0 to 255"),
    ({"inputs": [tensor(data=[0.5] * 432)]}, "whole numbers of 0 to 255"),
    ({"inputs": [tensor(data=["1"] * 432)]}, "whole numbers of 0 to 255"),
    ({"inputs": [tensor(data=[[1], [1, 2]])]}, "whole numbers of 0 to 255"),
    ({"inputs": [tensor(data=[10**30])]}, "whole numbers of 0 to 255"),
    ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["?"]}]}, "in base64"),
    ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": [""]}]}, "1 elements"),
    ({"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1], "data": [""]}]}, "datatype BYTES"),
    ({"inputs": [tensor(**PLAIN)], "outputs": [{"name": "x"}]}, "outputs: expected"),
    ({"inputs": [tensor(**PLAIN)], "outputs": []}, "outputs: expected a list"),
    ({"inputs": [tensor(**PLAIN)], "id": 5}, "id: expected a text"),
    (
        {"inputs": [tensor(**PLAIN)], "outputs": [{"name": "answer", "parameters": {"classification": 3}}]},
        "without classification",
    ),
]


@pytest.mark.parametrize(("asked", "words"), WRONG)
def test_what_is_no_request_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError, match=words) as refused:
        protocol_v2.read(json.dumps(asked).encode(), NONE, PREPROCESS)
    assert refused.value.status in (400, 413)


@pytest.mark.parametrize("content", [b"\x05\0\0\0abc", b"\xff\xff\xff\xff", b"\1\0", b"\0\0\0\0" * 2])
def test_broken_elements_are_refused(content: bytes) -> None:
    given = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(content)},
    }
    head = json.dumps({"inputs": [given]}).encode()
    with pytest.raises(RefusedError, match="image: "):
        protocol_v2.read(head + content, len(head), PREPROCESS)
    with pytest.raises(RefusedError, match="beyond the body"):
        protocol_v2.read(head, len(head) + 1, PREPROCESS)


def test_frames_come_through_in_any_pieces() -> None:
    frames = [Frame(k, 200, 3, k, bytes(k), bytes(range(k))) for k in range(1, 20)]
    stream = b"".join(frame.packed() for frame in frames)
    for step in (1, 7, len(stream)):
        splitter = Splitter()
        pieces = (stream[start : start + step] for start in range(0, len(stream), step))
        assert [frame for piece in pieces for frame in splitter.feed(piece)] == frames
    marks = [(2, 0.5, 1.5), (0, 0.25, 7)]
    assert marks_of(Frame(1, 200, text=packed_marks(marks)), 3) == marks


def test_the_description_of_the_api_is_valid(running: Running) -> None:
    validate(openapi.document())
    found = running.json("/openapi.json")
    assert found == openapi.document()
    for path, methods in found["paths"].items():
        given = path.replace("{model}", "linear").replace("{version}", "x")
        assert running.ask(given, b"" if "post" in methods else None)[0] != 405
    status, headers, page = running.ask("/docs")
    assert status == 200 and b"curl --data-binary" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_triton_s_client(running: Running) -> None:
    with client.InferenceServerClient(f"127.0.0.1:{running.port}") as triton:
        assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("linear")
        files = np.array([png(image) for image in IMAGES], object)
        encoded = client.InferInput("image", [3], "BYTES")
        encoded.set_data_from_numpy(files)
        raw = client.InferInput("pixels", list(IMAGES.shape), "UINT8")
        raw.set_data_from_numpy(IMAGES)
        shares = [triton.infer("linear", [each]).as_numpy("probabilities") for each in (encoded, raw)]
        np.testing.assert_array_equal(*shares)
        np.testing.assert_allclose(shares[0], reference(IMAGES), atol=1e-5)


def test_two_hundred_pictures_have_predict_s_bits(
    running: Running, linear_file: Path, tmp_path: Path
) -> None:
    draw = np.random.default_rng(8)
    content = [png(draw.integers(0, 256, (*draw.integers(2, 40, 2), 3), np.uint8)) for _ in range(200)]
    paths = [tmp_path / f"{k:03}.png" for k in range(200)]
    for path, data in zip(paths, content, strict=True):
        path.write_bytes(data)
    rows = list(Predictor.load(linear_file).answers(paths))
    assert [running.json("/predict", data)["top"] for data in content] == [row["top"] for row in rows]
    with client.InferenceServerClient(f"127.0.0.1:{running.port}") as triton:
        for start in range(0, 200, 50):
            given = client.InferInput("image", [50], "BYTES")
            given.set_data_from_numpy(np.array(content[start : start + 50], object))
            shares = triton.infer("linear", [given]).as_numpy("probabilities")
            for share, row in zip(shares, rows[start : start + 50], strict=True):
                named = {entry["label"]: entry["probability"] for entry in row["top"]}
                assert named == dict(zip(LABELS, map(float, share), strict=True))
