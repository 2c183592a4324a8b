"""Comparisons outlive what happens to their journal and their store."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from servers import serving
from stores import make_run
from test_trial import asked, store_of, verdict

from benchmarks.ab import events, pair_of
from imgrec.errors import InputError
from imgrec.serving.facts import Facts
from imgrec.serving.jobs import Plan
from imgrec.serving.limits import Limits
from imgrec.serving.observed import Seen
from imgrec.serving.pool import Pool
from imgrec.serving.source import Source, Version
from imgrec.serving.trial import journal
from imgrec.serving.trial.desk import Desk
from imgrec.serving.trial.judge import Judge
from imgrec.serving.trial.report import judged, lines, write_page
from imgrec.serving.trial.settings import TrialSettings
from pipelines import ab

SHADOW = {"kind": "trial", "t": 0.0, "alpha": 0.05} | pair_of("shadow", 0.0).record()
CANARY = {"kind": "trial", "t": 0.0, "alpha": 0.05} | pair_of("canary", 0.5).record()
ANSWER = {"kind": "answer", "t": 1, "id": "1", "version": "a" * 64, "label": "x", "seconds": 0.1}


def test_what_is_left_of_a_journal_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PART", 1 << 16)
    ours = journal.Journal(tmp_path / "days", 1)
    source = events("shadow", 0.0, 0.03, np.random.default_rng(0))
    sent = [next(source) for _ in range(1500)]
    ours.write([SHADOW, *sent])
    ours.close()
    journal.parts(tmp_path / "days")[0].unlink()  # as it is done when there are too many
    (trial,) = judged(tmp_path / "days")["trials"]
    left = trial["accuracy"]["observations"]
    assert 1000 < left < 1500
    judge = Judge(pair_of("shadow", 0.0))
    for event in sent[-left:]:
        judge.take(event)
    assert trial["accuracy"] == judge.record()["accuracy"]
    assert ab.main(["report", "--journal", str(tmp_path / "days")]) == 0
    assert "note: the oldest part of the journal has been deleted" in capsys.readouterr().out


def test_two_servers_do_not_share_a_journal(tmp_path: Path) -> None:
    ours = journal.Journal(tmp_path, 1)
    with pytest.raises(InputError, match="another server writes there"):
        journal.Journal(tmp_path, 1)
    ours.close()
    journal.Journal(tmp_path, 1).close()


@pytest.mark.parametrize(
    "wrong",
    [
        CANARY | {"share": 0.0},
        CANARY | {"share": 7.5},
        CANARY | {"alpha": 0.0},
        CANARY | {"role": "boss"},
        CANARY | {"t": 1e300},
        CANARY | {"t": float("nan")},
        CANARY | {"active": {"version": "a", "called": "\ud800"}},
        ANSWER | {"t": 10**400},
        ANSWER | {"seconds": float("inf")},
        ANSWER | {"seconds": -1.0},
    ],
    ids=["share 0", "share 7", "alpha", "role", "far", "nan", "half", "huge", "inf", "less than 0"],
)
def test_numbers_and_texts_of_nobody_are_passed_over(tmp_path: Path, wrong: dict) -> None:
    """Whoever can write into the folder can make the report wrong, but not end it with a stack trace."""
    told = [CANARY, wrong, ANSWER, ANSWER | {"t": 2}]
    (tmp_path / "journal-00000001.jsonl").write_text("".join(json.dumps(each) + "\n" for each in told))
    found = judged(tmp_path)
    assert found["damaged_lines"] == 1 and found["trials"][0]["answers"] == {"active": 2}
    write_page(found, tmp_path / "page.html")


def test_a_terminal_is_given_no_orders(tmp_path: Path) -> None:
    red = CANARY | {"active": {"version": "a", "called": "\x1b[31mred"}}
    (tmp_path / "journal-00000001.jsonl").write_text(json.dumps(red) + "\n")
    said = "\n".join(lines(judged(tmp_path)["trials"][0]))
    assert "red" in said and "\x1b" not in said


def test_a_worse_shadow_is_ended_and_the_store_says_why(linear_file: Path, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"v{seed}", linear_file, seed) for seed in range(2)]
    store = store_of(tmp_path, runs, "v0", "v1", "shadow")
    with serving(store.path, tmp_path / "errors", "--decide", "act", "--decide-after", "40") as server:
        asked(server, 100)
        end = time.monotonic() + 20
        while store.state.shadow:
            assert time.monotonic() < end, server.json("/ab")
            time.sleep(0.05)
        assert server.stop()[0] == 0
    assert store.state.active == "v0"
    (line,) = (store.path / "decisions.txt").read_text().splitlines()
    assert "rolled back: shadow v1 is worse by" in line


def test_a_store_that_cannot_be_changed_ends_no_comparison(linear_file: Path, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"v{seed}", linear_file, seed) for seed in range(2)]
    store = store_of(tmp_path, runs, "v1", "v0", "canary")
    words = ("--decide", "act", "--decide-after", "40", "--journal", str(tmp_path / "journal"))
    with serving(store.path, tmp_path / "errors", *words) as server:
        file = next((store.path / "versions" / "v0").rglob("*.tflite"))
        file.write_bytes(file.read_bytes()[:-1])  # while it serves: promoting it verifies it, and fails
        asked(server, 150)
        trial = verdict(server, "better")
        assert server.stop()[0] == 0
    assert trial["accuracy"]["low"] > 0 and store.state.active == "v1"
    told = [event for event in journal.read(tmp_path / "journal") if event["kind"] == "decision"]
    assert len(told) == 1 and told[0]["did"].startswith("not changed (")
    kinds = [event["kind"] for event in journal.read(tmp_path / "journal")]
    assert kinds.count("feedback") == 150


def test_times_are_told_within_a_sixteenth(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    took = draw.lognormal(-5, 0.4, 2000).round(6)
    told = [CANARY, *(ANSWER | {"t": float(k), "seconds": each} for k, each in enumerate(took))]
    (tmp_path / "journal-00000001.jsonl").write_text("".join(json.dumps(each) + "\n" for each in told))
    (trial,) = judged(tmp_path)["trials"]
    found = trial["milliseconds"]["active"]
    assert found["p50"] == pytest.approx(1000 * np.quantile(took, 0.5), rel=0.06)
    assert found["p95"] == pytest.approx(1000 * np.quantile(took, 0.95), rel=0.06)
    assert trial["milliseconds"]["canary"] == {}
    assert any(line.startswith("  median time: a ") for line in lines(trial))


def test_a_server_goes_on_with_the_comparison_of_its_journal(linear_file: Path, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"v{seed}", linear_file, seed) for seed in range(2)]
    store = store_of(tmp_path, runs, "v0", "v1", "shadow")
    words = ("--journal", str(tmp_path / "journal"), "--decide-after", "60")
    for start in (0, 40):
        with serving(store.path, tmp_path / "errors", *words) as server:
            asked(server, 40, first=start)
            end = time.monotonic() + 20
            while [each["accuracy"]["observations"] for each in server.json("/ab")["trials"]] != [start + 40]:
                assert time.monotonic() < end, server.json("/ab")
                time.sleep(0.05)
            if start:
                server.process.kill()  # and nothing of it is missing
            else:
                assert server.stop()[0] == 0
    (trial,) = judged(tmp_path / "journal")["trials"]
    assert trial["accuracy"]["observations"] == 80 and trial["answers"] == {"active": 80, "shadow": 80}
    assert [each["did"] for each in trial["decisions"]] == ["told"]


def test_nothing_that_waits_holds_a_picture() -> None:
    """A disk that hangs must not fill the memory with what clients send."""
    pool = Pool(Plan(Path("model.tflite"), 1), Limits())
    pool.facts = Facts("m", "a" * 64, "tflite", "multiclass", ("x", "y"), (8, 6, 3), 2, 1, 0.1, (), False)
    desk = Desk(TrialSettings(), Source(Version(pool)))
    desk.close()  # nobody thinks any more: all of it waits
    desk._judges["canary"] = Judge(pair_of("canary", 0.5))
    picture = b"x" * 10_000_000
    for role, label in (("active", 0), ("shadow", 1)):
        desk.seen(Seen("one", "one", role, pool.facts, label, 0.9, 0.5, {}, 0.01, picture))
    assert len(desk._waiting) == 2
    assert sys.getrefcount(picture) == 2  # this one's name, and the question
    assert [note()["kind"] for note in desk._waiting] == ["answer", "shadow"]
    desk._judges.clear()
    desk.seen(Seen("two", "two", "active", pool.facts, 0, 0.9, 0.5, {}, 0.01, picture))
    assert len(desk._waiting) == 2  # nothing is compared, nothing is written down
