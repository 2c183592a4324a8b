"""`python -m pipelines.serve` as its clients see it, with a linear model that NumPy computes as well."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from linear import LABELS, PREPROCESS, pictures, reference
from servers import Running, png, serving

from imgrec.errors import InputError
from imgrec.files import sha256_of
from imgrec.serving.limits import Limits, Token
from imgrec.serving.starting import plan_for


@pytest.fixture(scope="module")
def running(linear_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("served") / "errors.txt"
    with serving(
        linear_file, log, "--workers", "1", "--max-bytes", "200000", "--max-pixels", "10000"
    ) as server:
        yield server
        assert log.read_text() == ""  # no trace, whatever was sent


@pytest.fixture(scope="module")
def picture() -> bytes:
    return png(pictures(1)[0])


def form(picture: bytes, top: str = "") -> tuple[bytes, str]:
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="/etc/passwd"\r\n\r\n%s\r\n' % picture
    )
    if top:
        parts += b'--x\r\nContent-Disposition: form-data; name="top"\r\n\r\n%s\r\n' % top.encode()
    return parts + b"--x--\r\n", "multipart/form-data; boundary=x"


def test_a_picture_in_three_forms_has_one_answer(running: Running, linear_file: Path, picture: bytes) -> None:
    shares = reference(pictures(1))[0]
    raw = running.json("/predict", picture, Content_Type="image/png", X_Request_ID="mine-1")
    assert raw["id"] == "mine-1"
    assert raw["model"] == {"name": "linear", "version": sha256_of(linear_file)}
    assert raw["label"] == LABELS[shares.argmax()] and len(raw["top"]) == 3
    assert raw["probability"] == pytest.approx(shares.max(), abs=1e-5)
    body, kind = form(picture, "2")
    sent = running.json("/predict", body, Content_Type=kind)
    assert sent["top"] == raw["top"][:2]
    coded = json.dumps({"image": base64.b64encode(picture).decode(), "top": 1}).encode()
    assert running.json("/predict", coded, Content_Type="application/json")["top"] == raw["top"][:1]
    assert running.json("/predict?top=2", picture)["top"] == raw["top"][:2]


def test_every_request_has_an_id(running: Running, picture: bytes) -> None:
    _, headers, body = running.ask("/predict", picture, X_Request_ID='"><script>')
    assert headers["X-Request-ID"] == json.loads(body)["id"] != '"><script>'
    _, again, _ = running.ask("/predict", picture)
    assert again["X-Request-ID"] != headers["X-Request-ID"]
    assert running.ask("/nowhere", X_Request_ID="a.b")[1]["X-Request-ID"] == "a.b"


@pytest.mark.parametrize(
    ("status", "words", "body", "headers"),
    [
        (400, "empty file", b"", {}),
        (415, "not an image file", b"hello", {}),
        (415, "a PDF file", b"%PDF-1.4", {}),
        (400, "breaks off", None, {}),
        (413, "more than the 10,000 allowed", png(np.zeros((101, 100, 3), np.uint8)), {}),
        (413, "more than the 200,000 bytes allowed", bytes(200_001), {}),
        (415, "Content-Type not known", b"x", {"Content_Type": "text/html"}),
        (415, "not compressed", b"x", {"Content_Encoding": "gzip"}),
        (400, "damaged, expected JSON", b"{", {"Content_Type": "application/json"}),
        (400, "nested too deeply", b'{"image":' + b"[" * 90_000, {"Content_Type": "application/json"}),
        (400, "is there twice", b'{"image":"","image":""}', {"Content_Type": "application/json"}),
        (400, "other keys than", b'{"path":"/etc/passwd"}', {"Content_Type": "application/json"}),
        (400, "in base64", b'{"image":"?"}', {"Content_Type": "application/json"}),
        (400, "in base64", b'{"image":7}', {"Content_Type": "application/json"}),
        (400, "no boundary", b"x", {"Content_Type": "multipart/form-data"}),
        (400, "breaks off", form(b"x")[0][:-9], {"Content_Type": "multipart/form-data; boundary=x"}),
    ],
)
def test_what_is_no_picture_is_refused(
    running: Running, picture: bytes, status: int, words: str, body: bytes | None, headers: dict[str, str]
) -> None:
    found, _, said = running.ask("/predict", picture[:60] if body is None else body, **headers)
    assert (found, set(json.loads(said))) == (status, {"error"})
    assert words in json.loads(said)["error"]


@pytest.mark.parametrize("top", ["0", "-1", "x", "70000"])
def test_top_is_a_number_of_classes(running: Running, picture: bytes, top: str) -> None:
    assert running.ask(f"/predict?top={top}", picture)[0] == 400


def test_health_and_what_the_server_is(running: Running) -> None:
    assert running.json("/v2/health/live") == {"live": True}
    assert running.json("/v2/health/ready") == {"ready": True}
    assert running.json("/v2")["extensions"] == ["binary_tensor_data"]
    assert running.ask("/nowhere")[0] == 404
    assert running.ask("/predict")[0] == 405
    assert running.ask("/predict", bytes(200_001))[0] == 413
    assert b'imgrec_requests_total{route="predict",status="413"}' in running.ask("/metrics")[2]


def test_without_tensorflow_and_with_exit_code_0(linear_file: Path, picture: bytes, tmp_path: Path) -> None:
    with serving(linear_file, tmp_path / "errors.txt", "--workers", "1", "--linger", "0.1") as server:
        (worker,) = server.workers()
        maps = Path(f"/proc/{worker}/maps").read_text() + Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "/tensorflow/" not in maps
        assert server.ask("/predict", picture)[0] == 200
        assert server.stop() == (0, "done: 1 requests answered")
        assert not Path(f"/proc/{worker}").exists()


def test_a_token_is_asked_for(linear_file: Path, picture: bytes, tmp_path: Path) -> None:
    secret = "a-secret-of-this-test"
    with serving(linear_file, tmp_path / "log", "--workers", "1", IMGREC_TOKEN=secret) as server:
        for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": secret}):
            status, headers, _ = server.ask("/predict", picture, **wrong)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert server.ask("/metrics", **wrong)[0] == server.ask("/v2/models/linear", **wrong)[0] == 401
        assert server.ask("/v2/health/live")[0] == 200
        assert server.ask("/predict", picture, Authorization=f"Bearer {secret}")[0] == 200


def test_tokens_are_long_and_from_files(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("sixteen-letters-\n")
    assert Token.of(file).admits(b"Bearer sixteen-letters-") and not Token.of(file).admits(b"")
    for text in ("short", "two words and\na line more", ""):
        file.write_text(text)
        with pytest.raises(InputError, match="16 ASCII characters"):
            Token.of(file)
    with pytest.raises(InputError, match="cannot be read"):
        Token.of(tmp_path / "none")


def test_what_cannot_be_served_is_said(tmp_path: Path, linear_file: Path) -> None:
    with pytest.raises(InputError, match="no --run"):
        plan_for(Path())
    with pytest.raises(InputError, match="no such file"):
        plan_for(tmp_path / "x.tflite")
    with pytest.raises(InputError, match="expected 0 or more"):
        plan_for(linear_file, workers=-1)
    with pytest.raises(InputError, match="expected more than 0"):
        Limits(waiting=0)
    assert PREPROCESS.shape == (8, 6, 3)
