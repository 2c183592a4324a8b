"""Cross-validation: the processes around a stand-in trainer, and two real folds."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from imgrec import bundle
from imgrec.errors import InputError
from imgrec.runs import child
from pipelines import crossval, train

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TINY = [
    "--model",
    "lenet5",
    "--epochs",
    "1",
    "--batch-size",
    "16",
    "--no-tensorboard",
    "--precision",
    "float32",
]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TRAINER", "stub_trainer")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(ROOT)]))


def starts(log: Path) -> list[int]:
    """The process of each training that a log tells of."""
    return [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("started")]


def waits_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # An orphan that has ended may wait for its new parent to take note.
        state = Path(f"/proc/{pid}/stat")
        return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")
    except ProcessLookupError:
        return False


def test_folds_are_trained_once_and_put_together(
    stub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folds"
    words = ["--folds", "3", "--epochs", "2", "--learning-rate", "0.01", "--out", str(out)]
    monkeypatch.setenv("STUB_FAIL", "2/3")
    assert crossval.main(words) == 7
    said = capsys.readouterr()
    assert f"fold 2 of 3 ended with exit code 7: error: as asked\nits log: {out / 'fold-2.log'}" in said.err
    assert not json.loads((out / "crossval.json").read_text())["finished"]

    monkeypatch.delenv("STUB_FAIL")
    assert crossval.main(words) == 0
    assert [len(starts(out / f"fold-{number}.log")) for number in (1, 2, 3)] == [1, 2, 1]
    result = json.loads((out / "crossval.json").read_text())
    assert result["finished"] and result["settings"]["quantize"] == "none"
    # Fold i has i of 6 images of one class right, and the 4 of the other.
    accuracies = [0.5, 0.6, 0.7]
    assert [row["accuracy"] for row in result["folds"]] == accuracies
    balanced = [(number / 6 + 1) / 2 for number in (1, 2, 3)]
    np.testing.assert_allclose([row["balanced_accuracy"] for row in result["folds"]], balanced)
    expected = stats.ttest_1samp(accuracies, 0).confidence_interval(0.95)
    np.testing.assert_allclose(result["out_of_fold"]["accuracy"]["interval_95"], expected)
    assert result["out_of_fold"]["accuracy"]["mean"] == pytest.approx(0.6)
    assert (result["pooled"]["images"], result["pooled"]["accuracy"]) == (30, 0.6)
    assert result["test"]["accuracy"]["mean"] == pytest.approx(0.89)
    assert result["test"]["balanced_accuracy"]["mean"] == pytest.approx(0.9)  # of the class that has images
    rows = list(csv.DictReader((out / "out_of_fold.csv").read_text().splitlines()))
    assert len({row["id"] for row in rows}) == 30
    assert {(row["fold"], row["id"][0]) for row in rows} == {("1", "1"), ("2", "2"), ("3", "3")}
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"done: {out / 'crossval.json'}")

    with pytest.raises(InputError, match=r"other settings \(--epochs was 2, is 4\)"):
        crossval.main([*words, "--epochs", "4"])


def test_a_killed_command_leaves_no_training_behind_and_goes_on(
    stub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, log = tmp_path / "folds", tmp_path / "folds" / "fold-2.log"
    words = ["--folds", "2", "--epochs", "3", "--out", str(out)]
    code = "import sys; from imgrec.runs import child; child.TRAINER = 'stub_trainer'\n"
    code += "from pipelines import crossval, cli; cli.guarded(lambda: crossval.main(sys.argv[1:]))"
    for how, exit_code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        seen = len(starts(log)) if log.exists() else 0
        slow = {**os.environ, "STUB_SECONDS": "0.5" if not seen else "60"}
        parent = subprocess.Popen([sys.executable, "-c", code, *words], env=slow, stdout=subprocess.DEVNULL)
        waits_for(lambda: log.exists() and len(starts(log)) > seen)  # noqa: B023
        parent.send_signal(how)
        assert parent.wait(60) == exit_code
        trainer = starts(log)[-1]
        waits_for(lambda: not is_alive(trainer))  # noqa: B023
    assert crossval.main(words) == 0
    assert len(starts(out / "fold-1.log")) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--folds", "1"], "--folds 1: expected 2 or more"),
        (["--fold", "1/2"], "--fold is for one training"),
        (["--preview", "5"], "use it with pipelines.train"),
        (["--resume"], "--resume is for one training"),
        (["--epoch", "3"], "did you mean --epochs"),
        (["--out", "{stray}"], "holds something that is no cross-validation"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError) as error:
        crossval.main([word.replace("{stray}", str(tmp_path)) for word in words])
    assert message in str(error.value)


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 noisy images of stripes along, across, and none, divided 7:2:1."""
    draw = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = draw.integers(0, 100, (90, 28, 28), dtype=np.uint8)
    images[labels == 0, ::4] += 130
    images[labels == 1, :, ::4] += 130
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, images=images, labels=labels)
    return path


def test_one_fold_trains_and_judges_what_it_holds_out(npz: Path, tmp_path: Path) -> None:
    """Over all images what is held out is the test split: its answers stand in both tables."""
    out = tmp_path / "fold"
    words = ["--data", f"npz:{npz}", "--out", str(out), *TINY, "--quantize", "none"]
    assert train.main([*words, "--fold", "2/3", "--fold-over", "all"]) == 0
    held = list(csv.DictReader((out / "out_of_fold.csv").read_text().splitlines()))
    tested = list(csv.DictReader((out / "predictions.csv").read_text().splitlines()))
    assert [row["id"] for row in held] == [row["id"] for row in tested] and len(held) == 30
    for row, test in zip(held, tested, strict=True):
        shares = {name: float(row[f"p:{name}"]) for name in ("0", "1", "2")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        assert max(shares, key=shares.__getitem__) == test["predicted"]
        assert shares[test["label"]] == pytest.approx(float(test["label_probability"]), abs=1e-6)
    assert "out_of_fold.csv" in bundle.read(out).manifest


@pytest.mark.slow
def test_two_real_folds(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds"
    assert crossval.main(["--folds", "2", "--data", f"npz:{npz}", "--out", str(out), *TINY]) == 0
    result = json.loads((out / "crossval.json").read_text())
    assert [row["images"] for row in result["folds"]] == [41, 40]
    runs = [bundle.read(out / f"fold-{number}").run["data"]["images"] for number in (1, 2)]
    # 81 images outside the test split: 41 held out, of the other 40 a tenth chooses the epoch.
    assert [run["test"] for run in runs] == [9, 9]
    assert [run["train"] + run["val"] for run in runs] == [40, 41]
    rows = list(csv.DictReader((out / "out_of_fold.csv").read_text().splitlines()))
    assert len({row["id"] for row in rows}) == 81
