"""Which differences between runs are real: by hand-made answers, whose figures are known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, log_loss

from imgrec import bundle, files, tasks
from imgrec.errors import InputError
from imgrec.evaluation import stored
from imgrec.metrics import paired_draws
from imgrec.metrics.answers import softmax
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.paired import holm
from imgrec.runs.comparing import compare
from imgrec.tasks.multiclass import Multiclass
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


def with_outputs(folder: Path, labels: np.ndarray, logits: np.ndarray) -> Path:
    """A folder with the outputs too; classes a and b."""
    task = Multiclass(("a", "b"))
    right = "".join("01"[int(hit)] for hit in logits.argmax(axis=1) == labels)
    run = run_of(folder, right, "".join("ab"[label] for label in labels))
    ids = tuple(f"{index}.png" for index in range(len(labels)))
    tasks.write(run, task)
    stored.write(run, {"test": stored.Stored(ids, labels, logits)})
    bundle.write_manifest(run)
    return run


def test_balanced_accuracy_and_log_loss_are_compared_by_drawing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(400) % 4 == 0).astype(np.int32)
    logits = rng.normal(size=(400, 2)).astype(np.float32)
    logits[np.arange(400), labels] += 2
    biased = logits + np.array([1.5, 0], np.float32)  # as often right, but not on the small class
    one, two = (with_outputs(tmp_path / n, labels, each) for n, each in (("one", logits), ("two", biased)))
    (pair,) = compare([one, two]).pairs
    found = {each.figure: each for each in pair.figures}
    sides = {"one": logits, "two": biased}
    for name, figure in (("balanced accuracy", balanced_accuracy_score), ("log loss", log_loss)):
        said = [sides[run] for run in (pair.first, pair.second)]
        given = [each.argmax(axis=1) if name != "log loss" else softmax(each) for each in said]
        assert [found[name].first, found[name].second] == pytest.approx(
            [figure(labels, g) for g in given], 1e-5
        )
        assert found[name].interval_95[0] < found[name].difference < found[name].interval_95[1]
    assert found["balanced accuracy"].differs and found["log loss"].differs
    assert command.main([str(one), str(two)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("  balanced accuracy: differs (+") and lines[-1].startswith(
        "  log loss: differs"
    )
    alone = run_of(tmp_path / "old", "1" * 400, "".join("ab"[label] for label in labels))
    found_too = compare([one, alone])
    assert [each.figure for each in found_too.pairs[0].figures] == ["balanced accuracy"]
    assert "old kept no outputs, so log loss is not compared; evaluate anew" in found_too.notes


def test_equal_runs_are_not_told_apart_more_often_than_one_in_twenty() -> None:
    called = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        first, second = rng.random((2, 60)) < 0.8
        found = paired_draws.of_balanced(["a", "b"] * 30, first, second)
        called += found is not None and found.differs
    assert called / 200 <= 0.08
    assert paired_draws.of_balanced(["a"] * 30 + ["b"] * 4, first[:34], second[:34]) is None, "four images"
    assert paired_draws.of_means("log loss", first * 1.0, first * 1.0) is None, "no draw differs"
