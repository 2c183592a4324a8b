"""A journal that is cut, full or foreign, and what is read and shown of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ab import OTHER, WAYS, called, events, pair_of, write_journal
from imgrec.errors import InputError
from imgrec.serving.trial import journal
from imgrec.serving.trial.judge import BETTER, OPEN, Judge
from imgrec.serving.trial.report import judged, lines, write_page
from pipelines import ab


def test_a_torn_line_is_passed_over_and_never_written_to(tmp_path: Path) -> None:
    ours = journal.Journal(tmp_path, 1)
    event = {"kind": "end", "t": 1.5, "role": "canary"}
    ours.write([event, event])
    ours.close()
    (file,) = journal.parts(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])  # what a killed server leaves
    again = journal.Journal(tmp_path, 1)
    again.write([event])
    again.close()
    assert list(journal.read(tmp_path)) == [event, event]
    assert [path.name for path in journal.parts(tmp_path)] == [
        "journal-00000001.jsonl",
        "journal-00000002.jsonl",
    ]


def test_it_stays_small_and_forgets_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PART", 1 << 18)
    ours = journal.Journal(tmp_path, 1)
    ours.write([{"kind": "end", "t": float(k), "role": "x" * 900} for k in range(3000)])
    ours.close()
    assert sum(path.stat().st_size for path in journal.parts(tmp_path)) <= 1 << 20
    times = [event["t"] for event in journal.read(tmp_path)]
    assert times == [float(k) for k in range(3000 - len(times), 3000)] and len(times) > 700


def test_lines_that_were_not_written_here_are_counted(tmp_path: Path) -> None:
    write_journal(tmp_path, 30, seed=0)
    (file,) = journal.parts(tmp_path)
    wrong = [b"[]", b"{", b"\xff", b"[" * 5000, b"{" + b" " * 20_000 + b"}", b'{"kind": "answer", "t": 1}']
    wrong += [b'{"kind": ["end"]}', b'{"kind": "paired", "t": 1, "version": "", "shadow": "", "right": 1}']
    file.write_bytes(b"\n".join(wrong) + b"\n" + file.read_bytes())
    found = judged(tmp_path)
    assert found["damaged_lines"] >= len(wrong) and len(found["trials"]) == 3


def test_a_report_says_what_the_server_s_judge_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path / "days", 1500, seed=0)
    found = judged(tmp_path / "days")
    for (role, share), trial in zip(WAYS, found["trials"], strict=True):
        judge, source = Judge(pair_of(role, share)), events(role, share, 0.03, np.random.default_rng(0))
        for _ in range(1500):
            judge.take(next(source))
        told = judge.record()
        assert {key: trial[key] for key in told} == told
    shadow = found["trials"][-1]
    assert shadow["verdict"] == BETTER and shadow["accuracy"]["low"] > 0
    assert lines(shadow)[0] == "shadow b against a: better"

    assert ab.main(["report", "--journal", str(tmp_path / "days")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"done: {tmp_path / 'days.html'}"
    page = (tmp_path / "days.html").read_text(encoding="utf-8")
    assert page.count("<section") == 3 and "http" not in page.partition("<main>")[2]
    assert ab.main(["report", "--journal", str(tmp_path / "days"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"][-1]["verdict"] == BETTER


def test_what_cannot_be_reported_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no journal there"):
        judged(tmp_path / "nothing")
    ours = journal.Journal(tmp_path / "alone", 1)
    ours.write([{"kind": "answer", "t": 1.0, "id": "1", "version": OTHER, "label": "a", "seconds": 0.1}])
    ours.close()
    with pytest.raises(InputError, match="1 answers, and no two versions were compared"):
        judged(tmp_path / "alone")
    with pytest.raises(InputError, match="best: expected report"):
        ab.main(["best", "--journal", str(tmp_path)])
    write_journal(tmp_path / "days", 5, seed=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        write_page(judged(tmp_path / "days"), tmp_path / "file" / "page.html")


@pytest.mark.slow
@pytest.mark.parametrize(("role", "share"), WAYS)
def test_equal_versions_are_hardly_ever_called_different(role: str, share: float) -> None:
    """400 runs, looked at after every request: 5 % are promised."""
    verdicts = [called(role, share, 0.0, 5000, seed)[0] for seed in range(400)]
    assert sum(each != OPEN for each in verdicts) <= 20


@pytest.mark.slow
def test_three_points_are_found() -> None:
    """By nine runs of ten or more: with shadows within 3,000 requests, with halves within 10,000."""
    assert sum(called("shadow", 0.0, 0.03, 3000, seed)[0] == BETTER for seed in range(100)) >= 90
    assert sum(called("canary", 0.5, 0.03, 10_000, seed)[0] == BETTER for seed in range(100)) >= 90
