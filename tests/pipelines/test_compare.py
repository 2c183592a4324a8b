"""Which differences between runs are real: by hand-made answers, whose figures are known."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import binomtest

from imgrec import bundle, files
from imgrec.errors import InputError
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.paired import holm
from imgrec.runs.comparing import compare
from pipelines import compare as command

FILES = [{"name": "float32", "kilobytes": 2768.4, "ms_per_image": 3.1}]


def run_of(
    folder: Path, right: str, truth: str = "", first: int = 0, data: tuple[str, str] = ("photos", "0")
) -> Path:
    """A folder with what is read of a run: `right` and `truth` have a character an image."""
    folder.mkdir(parents=True)
    rows = [["id", "label", "predicted", "correct"]]
    for index, (hit, label) in enumerate(zip(right, truth or "a" * len(right), strict=True), start=first):
        rows.append([f"{index}.png", label, label if hit == "1" else "z", hit])
    files.write_csv(folder / "predictions.csv", rows)
    record = {"format": 1, "data": {"name": data[0], "fingerprint": data[1]}}
    files.write_json(folder / "run.json", record)
    files.write_json(folder / "metrics.json", {"test": {}, "exports": {"files": FILES}})
    bundle.write_manifest(folder)
    return folder


def test_a_difference_that_the_images_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Of 200 images 20 are right for the first alone and 5 for the second alone.
    one = run_of(tmp_path / "one", "1" * 170 + "1" * 20 + "0" * 5 + "0" * 5)
    two = run_of(tmp_path / "two", "1" * 170 + "0" * 20 + "1" * 5 + "0" * 5)
    found = compare([two, one])
    (pair,) = found.pairs
    assert (pair.first, pair.second, found.images) == ("one", "two", 200)
    assert pair.paired.p_value == pair.p_holm == pytest.approx(binomtest(20, 25, 0.5).pvalue)
    assert pair.paired.difference == 0.075 and pair.differs
    assert found.right["one"] == (0.95, wilson_interval(190, 200))
    assert str(pair).startswith("one is better than two by 7.5 points (") and str(pair).endswith("p = .004")
    assert command.main([str(one), str(two)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "on 200 images that all of them answered:"
    assert "float32 2,768 KB 3.10 ms" in said[2] and "95.0 %" in said[2] and said[2].startswith("one")
    assert said[-1] == str(pair)
    command.main([str(one), str(two), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["pairs"][0]["only_first"] == 20 and told["pairs"][0]["differs"] is True
    assert told["runs"][0]["files"] == FILES


def test_no_difference_is_said_where_none_is_shown(tmp_path: Path) -> None:
    one = run_of(tmp_path / "one", "1" * 20 + "11" + "0")
    two = run_of(tmp_path / "two", "1" * 20 + "00" + "1")
    assert "no difference shown (4.3 points, −" in str(compare([one, two]).pairs[0])


def test_three_pairs_are_held_to_more() -> None:
    # By hand: 3 × .01, 2 × .02, and .04 at least as much as the one before it.
    assert holm([0.02, 0.01, 0.04]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.03, 0.03, 0.9]) == pytest.approx([0.09, 0.09, 0.9])
    assert holm([0.7, 0.8]) == [1.0, 1.0]


def test_runs_are_matched_by_image_and_truth(tmp_path: Path) -> None:
    one = run_of(tmp_path / "one", "1111", "abab")
    later = run_of(tmp_path / "later", "1011", "abab", first=2)
    found = compare([one, later])
    assert found.images == 2 and "only what they share is compared" in found.notes[0]
    other = run_of(tmp_path / "other", "1111", "abba")
    with pytest.raises(InputError, match=r"2.png is 'a' for one and 'b' for other: not the same test images"):
        compare([one, other])
    far = run_of(tmp_path / "far", "11", first=100)
    with pytest.raises(InputError, match="no test image in common"):
        compare([one, far])
    elsewhere = run_of(tmp_path / "elsewhere", "1111", "abab", data=("csv:x.csv", "1"))
    assert "the data are named differently" in compare([one, elsewhere]).notes[0]


def test_what_is_no_pair_of_runs_is_refused(tmp_path: Path) -> None:
    one = run_of(tmp_path / "one", "10")
    for paths, message in (
        ([one], "two or more"),
        ([one, one], "named twice"),
        ([one, tmp_path], "manifest"),
    ):
        with pytest.raises(InputError, match=message):
            compare(paths)
    (one / "predictions.csv").write_text("id,label,predicted,correct\n")
    with pytest.raises(InputError, match=r"predictions.csv is not the file"):
        compare([one, run_of(tmp_path / "two", "10")])


def test_it_needs_no_framework(tmp_path: Path) -> None:
    paths = [str(run_of(tmp_path / name, "10")) for name in ("one", "two")]
    code = (
        f"import sys, pipelines.compare as job\njob.main({paths!r})\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
