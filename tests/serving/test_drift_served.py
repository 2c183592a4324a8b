"""A run of the sample behind the real server: what changes is named within 500 requests."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from servers import Running, serving

from benchmarks.drift import changed, clean, described, first_alarm
from imgrec import bundle
from imgrec.config import from_mapping
from imgrec.data.loading import load_arrays
from imgrec.runs.session import read_source
from imgrec.serving.facts import Facts
from imgrec.serving.predictor import Predictor
from imgrec.serving.watch import reference_for
from imgrec.watching.drift import DriftDetector
from pipelines import train

pytestmark = pytest.mark.slow
BEFORE, WITHIN = 200, 500


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "run"
    words = ["--data", "sample", "--model", "lenet5", "--epochs", "2", "--out", str(out)]
    assert train.main(words) == 0
    return out


@pytest.fixture(scope="module")
def tests(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Test and validation images, uint8 `[N, 28, 28, 1]`."""
    whole = bundle.read(run)
    source = read_source(from_mapping(whole.config))
    return load_arrays(source.test, whole.preprocess), load_arrays(source.val, whole.preprocess)


@pytest.fixture(scope="module")
def server(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(run, tmp_path_factory.mktemp("served") / "errors", "--workers", "1") as running:
        yield running


def drift_after(server: Running, images: np.ndarray) -> dict[str, Any]:
    """Send pictures one after the other, as PNG; return the server's view when it has looked at all."""
    before = server.json("/status")["versions"][0]["drift"]["taken"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for image in images:
        connection.request("POST", "/predict", cv2.imencode(".png", image)[1].tobytes())
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
    connection.close()
    end = time.monotonic() + 120
    while (drift := server.json("/status")["versions"][0]["drift"])["taken"] < before + len(images):
        assert time.monotonic() < end and drift["skipped"] == 0, drift
        time.sleep(0.2)
    return drift


def test_what_changes_is_named_within_500_requests(
    run: Path, tests: tuple[np.ndarray, np.ndarray], server: Running
) -> None:
    images, _ = tests
    whole, predictor = bundle.read(run), Predictor.load(run)
    facts = Facts("", "", "", "", whole.labels, (), 0, 1, 0.0, ("brightness", "contrast", "sharpness"), False)
    held = reference_for(run, facts)
    assert held is not None
    draw = np.random.default_rng(7)
    order = draw.permutation(len(images))
    steady, others = images[order[:BEFORE]], images[order[BEFORE:]]
    table = described(predictor, others)
    missing = int(np.bincount(table["label"]).argmax())
    streams = {
        "brightness is lower": changed(others[:WITHIN])["darkness"],
        "contrast is lower": changed(others[:WITHIN])["fog"],
        "sharpness is lower": changed(others[:WITHIN])["blur"],
        f"{whole.labels[missing]} is answered less": others[table["label"] != missing][:WITHIN],
    }
    for index, (words, after) in enumerate(streams.items()):
        assert server.json("/drift/restart", b"", Content_Type="application/json") == {"restarted": 1}
        drift = drift_after(server, steady)
        assert drift["alarm"] is None, (words, drift["alarm"])
        alarm = drift_after(server, after)["alarm"]
        print(words, "|", alarm)
        assert alarm is not None and words in alarm["words"], (words, alarm)
        assert BEFORE < alarm["request"] <= BEFORE + WITHIN
        if index == 0:  # later ones draw other chances; this one is the statistics' own, to the last bit
            stream = described(predictor, np.concatenate([steady, after]))
            expected = first_alarm(DriftDetector(held, names=whole.labels), stream)
            assert (expected.request, expected.words) == (alarm["request"], alarm["words"])
            assert dict(expected.drifted) == alarm["drifted"]


def test_of_a_hundred_clean_streams_five_are_alarms_at_most(
    run: Path, tests: tuple[np.ndarray, np.ndarray]
) -> None:
    whole, predictor = bundle.read(run), Predictor.load(run)
    facts = Facts("", "", "", "", whole.labels, (), 0, 1, 0.0, ("brightness", "contrast", "sharpness"), False)
    held = reference_for(run, facts)
    assert held is not None
    test, val = (described(predictor, each) for each in tests)
    known = [name for name in test if name == "label" or name in held.values]
    test, val = ({name: each[name] for name in known} for each in (test, val))
    found = clean(held, val, test, len(whole.labels), 100)
    print(found)
    assert found["requests each"] == 2000 and max(found["alarms"].values()) <= 5
