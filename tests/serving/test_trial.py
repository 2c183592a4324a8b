"""Two versions compared over HTTP: feedback, verdicts, and what a server does about them."""

import json
import time
from pathlib import Path

import pytest
from linear import LABELS, pictures
from servers import Running, png, serving
from stores import make_run, scores

from imgrec.serving.trial import journal
from imgrec.store import Store

SEED = 0
"""What is right is what the linear model of this seed answers; that of another seed is right now and then."""


@pytest.fixture(scope="module")
def runs(linear_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / f"v{seed}", linear_file, seed) for seed in range(2)]


def store_of(folder: Path, runs: list[Path], active: str, other: str, role: str) -> Store:
    store = Store.create(folder / "store")
    for run in runs:
        store.add(run, pictures="drawn")
    store.promote(active)
    store.promote(other, role, share=0.5)
    return store


def asked(server: Running, count: int, first: int = 0) -> int:
    """Ask, and say what was right each time; return how often the answer was."""
    images = pictures(count)
    right = 0
    for index, (image, truth) in enumerate(zip(images, scores(SEED, images).argmax(1), strict=True)):
        name = f"request-{first + index}"
        server.json("/predict", png(image), X_Request_ID=name)
        said = {"id": name, "label": LABELS[truth]}
        right += told(server, said)["right"]
    return right


def told(server: Running, said: object) -> dict:
    return server.json("/feedback", json.dumps(said).encode(), Content_Type="application/json")


def verdict(server: Running, wanted: str, seconds: float = 10) -> dict:
    """Return the record once it says what is wanted."""
    end = time.monotonic() + seconds
    while True:
        (trial,) = server.json("/ab")["trials"] or [{"verdict": "nothing is compared"}]
        if trial["verdict"] == wanted:
            return trial
        assert time.monotonic() < end, trial
        time.sleep(0.05)


def test_a_better_canary_is_promoted(runs: list[Path], tmp_path: Path) -> None:
    store = store_of(tmp_path, runs, "v1", "v0", "canary")
    words = ("--journal", str(tmp_path / "journal"), "--decide", "act", "--decide-after", "40")
    with serving(store.path, tmp_path / "errors", *words) as server:
        asked(server, 200)
        end = time.monotonic() + 20
        while store.state.active != "v0":
            assert time.monotonic() < end, server.json("/ab")
            time.sleep(0.05)
        while server.json("/ab")["trials"]:  # there is nothing left to compare it with
            assert time.monotonic() < end
        assert asked(server, 20, first=200) == 20
        assert server.stop()[0] == 0
    assert "promoted: canary v0 is better by" in (tmp_path / "errors").read_text()
    kinds = [event["kind"] for event in journal.read(tmp_path / "journal")]
    assert kinds[0] == "trial" and kinds.count("answer") == kinds.count("feedback") == 220
    assert kinds.count("decision") == 1 and kinds.index("end") > kinds.index("decision")


def test_a_shadow_is_judged_picture_by_picture_and_never_answers(runs: list[Path], tmp_path: Path) -> None:
    store = store_of(tmp_path, runs, "v0", "v1", "shadow")
    with serving(store.path, tmp_path / "errors") as server:
        assert asked(server, 120) == 120
        trial = verdict(server, "worse")
        while trial["feedback"]["active"]["told"] < 120:
            time.sleep(0.05)
            trial = verdict(server, "worse")
        assert store.state.shadow == "v1"  # it is told, no more
        accuracy, told_of = trial["accuracy"], trial["feedback"]
        assert accuracy["low"] <= accuracy["difference"] <= accuracy["high"] < 0
        assert told_of["active"]["right"] == told_of["active"]["told"] == 120
        wrong = told_of["shadow"]["told"] - told_of["shadow"]["right"]
        assert accuracy["difference"] == pytest.approx(-wrong / told_of["shadow"]["told"])
        # Wherever they differ the shadow is wrong: what is right is what the other one says.
        assert sum(count for *_, count in trial["confused"]) >= wrong > 0
        agreement = trial["agreement"]  # by a request each .05 s, of which a quick machine has few here
        assert agreement["observations"] > 0
        assert agreement["low"] <= agreement["share"] <= agreement["high"]


def test_feedback_that_cannot_be_is_refused(linear_file: Path, tmp_path: Path) -> None:
    with serving(linear_file, tmp_path / "errors") as server:
        server.json("/predict", png(pictures(1)[0]), X_Request_ID="one")

        def status(said: object, **headers: str) -> int:
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            return server.ask("/feedback", body, **({"Content_Type": "application/json"} | headers))[0]

        assert status({"id": "two", "label": "ant"}) == 404
        assert status({"id": "one", "label": "aunt"}) == 400
        assert (
            b"'ant'"
            in server.ask(
                "/feedback",
                json.dumps({"id": "one", "label": "aunt"}).encode(),
                Content_Type="application/json",
            )[2]
        )
        assert status({"id": "one"}) == status({"id": 1, "label": "ant"}) == status(b"[]") == 400
        assert status(b"{" * 4000) == 400 and status(b" " * 5000) == 413
        assert status({"id": "one", "label": "ant"}, Content_Type="text/plain") == 415
        assert status({"id": "one", "label": "ant"}) == status({"id": "one", "label": "ant"}) == 200
        assert status({"id": "one", "label": "bee"}) == 409
        assert server.json("/ab") == {"trials": [], "decisions": [], "remembered": 1, "lost": 0}
