"""Drift, logs, metrics and the state of a server, as whoever looks after one sees them."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear import LABELS, reference
from prometheus_client.parser import text_string_to_metric_families
from servers import Running, png, serving
from watched import photographs, watched_run

from imgrec.errors import InputError
from imgrec.files import sha256_of
from imgrec.serving.watch_settings import WatchSettings
from imgrec.watching import measures
from imgrec.watching import reference as watching
from imgrec.watching.drift import DriftDetector

CLEAN, DARK = photographs(150, 1), photographs(250, 2, 0.4)
SECRET = "a-secret-of-this-test"
WITH = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def run(linear_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return watched_run(tmp_path_factory.mktemp("watched") / "run", linear_file)


@pytest.fixture(scope="module")
def running(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("served")
    words = ("--workers", "1", "--log", "json", "--log-file", str(folder / "log"))
    with serving(run, folder / "errors", *words, IMGREC_TOKEN=SECRET) as server:
        yield server
        assert (folder / "errors").read_text() == ""


def families(server: Running) -> dict[str, Any]:
    """Every family of /metrics, as Prometheus' own parser reads it."""
    status, _, text = server.ask("/metrics", **WITH)
    assert status == 200
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def values(family: Any, **labels: str) -> list[float]:
    return [s.value for s in family.samples if labels.items() <= s.labels.items()]


def send(server: Running, images: np.ndarray) -> None:
    for image in images:
        assert server.ask("/predict", png(image), **WITH)[0] == 200


def watched(server: Running, taken: int) -> dict[str, Any]:
    """What the server says of its only version, when it has looked at so many images."""
    end = time.monotonic() + 20
    while True:
        state = server.json("/status", **WITH)
        drift = state["versions"][0]["drift"]
        if drift["taken"] + drift["skipped"] >= taken:
            return state
        assert time.monotonic() < end, drift
        time.sleep(0.1)


def lines(file: Path, count: int) -> list[dict[str, Any]]:
    """The lines of a log, when there are so many."""
    end = time.monotonic() + 20
    while len(found := file.read_text().splitlines()) < count:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return [json.loads(line) for line in found]


def test_a_change_is_an_alarm_with_the_detector_s_own_numbers(run: Path, running: Running) -> None:
    send(running, CLEAN)
    state = watched(running, len(CLEAN))
    (version,) = state["versions"]
    # The same pictures to a detector here: what the server has is equal to the last bit.
    held = watching.read(run, len(LABELS))
    assert held is not None
    detector = DriftDetector(held, names=LABELS)
    sent = np.concatenate([CLEAN, DARK])
    confidence = reference(sent).max(axis=1)
    exact = [{name: float(np.float32(v)) for name, v in measures.of(image).items()} for image in sent]
    for row, share in zip(exact, confidence, strict=True):
        row["confidence"] = float(np.float32(share))
    labels = reference(sent).argmax(axis=1).tolist()
    assert detector.update_many(exact[: len(CLEAN)], labels[: len(CLEAN)]) is None
    for name in ("brightness", "contrast", "sharpness", "class rates"):
        assert version["drift"]["evidence"][name] == detector.evidence()[name]
    assert version["drift"]["skipped"] == 0 and version["drift"]["alarm"] is None
    send(running, DARK)
    state = watched(running, len(CLEAN) + len(DARK))
    alarm = state["versions"][0]["drift"]["alarm"]
    expected = detector.update_many(exact[len(CLEAN) :], labels[len(CLEAN) :])
    assert version["drift"]["evidence"] != state["versions"][0]["drift"]["evidence"] == detector.evidence()
    assert expected is not None and "brightness is lower" in alarm["words"]
    assert (alarm["request"], alarm["words"]) == (expected.request, expected.words)
    assert state["alarms"][0]["words"] == alarm["words"] and abs(alarm["time"] - time.time()) < 60
    found = families(running)
    assert values(found["imgrec_drift_alarms"]) == values(found["imgrec_drift_alarm"]) == [1]
    assert values(found["imgrec_drift_evidence"], kind="brightness")[0] >= 20
    # Who has looked clears it; a page of another site cannot.
    assert running.ask("/drift/restart", b"", Content_Type="application/json")[0] == 401
    assert running.ask("/drift/restart", b"", Content_Type="text/plain", **WITH)[0] == 415
    assert running.json("/drift/restart", b"", Content_Type="application/json", **WITH) == {"restarted": 1}
    found = families(running)
    assert values(found["imgrec_drift_alarm"]) == [0] and values(found["imgrec_drift_alarms"]) == [1]


def test_a_request_is_a_line_without_anything_secret(run: Path, running: Running) -> None:
    log = running.errors.with_name("log")
    picture = png(CLEAN[0])
    running.ask("/predict", picture, X_Request_ID="mine-1", **WITH)
    running.ask("/predict", picture, X_Request_ID='", "event": "forged', **WITH)
    running.ask("/predict", b"hello", X_Request_ID="mine-2", **WITH)
    running.ask("/predict?top=%1b%5b31m", picture, X_Request_ID="mine-3")
    running.ask("/nowhere", X_Request_ID="mine-4", **WITH)
    end = time.monotonic() + 20
    while "mine-4" not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.1)
    found = {line.get("id"): line for line in lines(log, 1)}
    first = found["mine-1"]
    shares = reference(CLEAN[:1])[0]
    assert (first["route"], first["status"], first["bytes"]) == ("predict", 200, len(picture))
    assert first["label"] == LABELS[shares.argmax()] and first["version"] == sha256_of(run / "manifest.json")
    assert first["probability"] == pytest.approx(shares.max(), abs=1e-4) and first["milliseconds"] > 0
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert (found["mine-2"]["status"], found["mine-3"]["status"]) == (415, 401)
    assert found["mine-4"]["route"] == "other" and "label" not in found["mine-2"]
    text = log.read_text()
    assert (
        SECRET not in text
        and "\x1b" not in text
        and "31m" not in text
        and "forged" not in text
        and "PNG" not in text
    )
    drift = [line for line in lines(log, 1) if line.get("event") == "drift"]
    assert all("brightness" in line["drifted"] for line in drift)


def test_metrics_are_as_prometheus_has_them(running: Running) -> None:
    send(running, CLEAN[:3])
    found = families(running)
    for name, family in found.items():
        assert re.fullmatch(r"(imgrec|process)_[a-z_]+", name) and family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        if family.type == "counter":
            assert all(s.name.endswith(("_total", "_created")) for s in family.samples)
    assert values(found["imgrec_drift_watched"]) == [1]
    assert sum(values(found["imgrec_requests"], status="200")) >= 3
    answers = found["imgrec_answers"]
    assert {sample.labels["label"] for sample in answers.samples} <= set(LABELS)
    count = [s.value for s in found["imgrec_probability"].samples if s.name.endswith("_count")]
    assert sum(count) == sum(values(answers))


def test_the_state_has_a_history(running: Running) -> None:
    send(running, CLEAN[:5])
    end = time.monotonic() + 20
    while not (rows := running.json("/status", **WITH)["rows"]) or not rows[-1]["rate"]:
        assert time.monotonic() < end
        time.sleep(0.2)
    row = rows[-1]
    assert row["status"]["200"] > 0 and 0 < row["p50"] <= row["p95"] <= row["p99"]
    assert 1 / 3 < row["confidence"] <= 1 and len(row["evidence"]) == 1
    assert running.json(f"/status?since={row['time']}", **WITH)["rows"] == []
    assert running.json("/status?span=day", **WITH)["rows"] == []
    classes = running.json("/status", **WITH)["versions"][0]["classes"]
    assert {each["label"] for each in classes} == set(LABELS)
    assert sum(each["training"] for each in classes) == pytest.approx(1, abs=1e-3)
    assert running.ask("/status?since=x", **WITH)[0] == 400
    assert running.ask("/status")[0] == 401


def test_without_a_reference_it_says_so_and_too_many_lines_are_left_out(
    linear_file: Path, tmp_path: Path
) -> None:
    words = ("--workers", "1", "--log", "text", "--log-rate", "2")
    with serving(linear_file, tmp_path / "errors", *words) as server:
        for _ in range(30):
            assert server.ask("/predict", png(CLEAN[0]))[0] == 200
        assert server.json("/status")["versions"][0]["drift"]["watched"] is False
        text = server.ask("/metrics")[2].decode()
        assert re.search(r"imgrec_drift_watched\{.*\} 0\.0", text)
        assert server.process.stdout is not None
        note = server.process.stdout.readline()
        assert note.startswith("note: drift is not watched: there is no watching.npz")
        assert server.stop()[0] == 0
    said = (tmp_path / "errors").read_text().splitlines()
    assert any(' route="predict" status=200 ' in line for line in said)
    assert sum(int(found) for found in re.findall(r'event="dropped" lines=(\d+)', "\n".join(said))) >= 10


def test_settings_out_of_bounds_are_refused(tmp_path: Path) -> None:
    for wrong in ({"log_rate": 0}, {"drift_false_alarms": 1.0}, {"drift_horizon": 0}):
        with pytest.raises(InputError, match="expected"):
            WatchSettings(**wrong)
