"""The server by Ray Serve: flags, and (slow) two replicas that answer as one process does."""

import json
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from linear import pictures
from servers import Running, png, serving

from imgrec.errors import InputError
from imgrec.serving.cluster import ClusterSettings
from imgrec.serving.predictor import Predictor

COUNT = 200
TOKEN = "a-secret-of-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"replicas": -1}, "expected 0 or more"),
        ({"most_replicas": 1}, "at most as many"),
        ({"engine": "plain", "replicas": 4}, "--replicas 4: of what"),
        ({"engine": "plain", "most_replicas": 4}, "--most-replicas 4: of what"),
        ({"replicas": 3, "most_replicas": 2}, "at most as many"),
        ({"address": "ray://there"}, "Give --engine ray"),
    ],
)
def test_flags_that_do_not_go_together(wrong: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ClusterSettings(**wrong)


def answered(server: Running) -> set[int]:
    """How many pictures each replica has answered, by its own count."""
    counts, end = set(), time.monotonic() + 30
    while len(counts) < 2 and time.monotonic() < end:
        text = server.ask("/metrics", **BEARER)[2].decode()
        found = re.findall(r'^imgrec_requests_total\{route="\w+",status="200"\} ([\d.e+]+)', text, re.M)
        counts.add(sum(int(float(each)) for each in found))
    return counts


@pytest.mark.slow
def test_two_replicas_answer_as_one_process(linear_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra ray): its replicas were not tried")
    from tritonclient import http

    token = tmp_path / "token"
    token.write_text(TOKEN)
    images = pictures(COUNT)
    files = [tmp_path / f"{number:03d}.png" for number in range(COUNT)]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(png(image))
    expected = Predictor.load(linear_file).predict_files(files)
    words = ("--engine", "ray", "--replicas", "2", "--token-file", str(token))
    with serving(linear_file, tmp_path / "log", *words) as server:
        assert server.ask("/predict", files[0].read_bytes())[0] == 401
        assert server.json("/v2/health/ready") == {"ready": True}
        for file, shares in zip(files, expected, strict=True):
            command = ["curl", "-s", "-H", f"Authorization: Bearer {TOKEN}", "--data-binary", f"@{file}"]
            said = subprocess.check_output([*command, f"http://127.0.0.1:{server.port}/predict?top=3"])
            assert json.loads(said)["probability"] == float(shares.max())
            assert [each["probability"] for each in json.loads(said)["top"]] == sorted(
                map(float, shares), reverse=True
            )
        client = http.InferenceServerClient(f"127.0.0.1:{server.port}")
        for start in range(0, COUNT, 50):
            body = np.array([file.read_bytes() for file in files[start : start + 50]], object)
            given = http.InferInput("image", [len(body)], "BYTES")
            given.set_data_from_numpy(body)
            shares = client.infer("linear", [given], headers=BEARER).as_numpy("probabilities")
            assert np.array_equal(shares, expected[start : start + 50])
        client.close()
        first, second = answered(server)
        assert first + second == COUNT + COUNT / 50 and min(first, second) > 0
        assert set(server.json("/openapi.json")["paths"]) >= {"/predict", "/v2"}
        _, headers, _ = server.ask("/predict", files[0].read_bytes(), X_Request_ID="mine-1", **BEARER)
        assert headers.get_all("X-Request-ID") == ["mine-1"]  # type: ignore[attr-defined]
        for status, body, more in (
            (413, bytes((10 << 20) + 1), {}),
            (415, b"hello", {}),
            (415, b"x", {"Content_Encoding": "gzip"}),
            (400, b"{", {"Content_Type": "application/json"}),
        ):
            assert server.ask("/predict", body, **more, **BEARER)[0] == status
        assert server.stop() == (0, "done")
