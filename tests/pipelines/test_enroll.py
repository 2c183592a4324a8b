"""Classes added to a finished run, as a user does it: answered for, exported, evaluated, refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from imgrec import bundle
from imgrec.data.sources.sample import load_sample
from imgrec.runtimes import open_runtime
from pipelines import enroll, evaluate, train

WORDS = ["--model", "lenet5", "--epochs", "2", "--batch-size", "16", "--learning-rate", "0.02"]
WORDS += ["--quantize", "none", "--precision", "float32", "--no-tensorboard", "--crop", "none"]


def pictures(folder: Path, label: int, count: int, first: int = 0) -> None:
    """Write pictures of the sample as files."""
    given = load_sample().train
    folder.mkdir(parents=True)
    for number in np.flatnonzero(given.labels == label)[first : first + count]:
        Image.fromarray(given.images[number, ..., 0]).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three classes, and folders with pictures of two others."""
    root, given = tmp_path_factory.mktemp("enroll"), load_sample().train
    chosen = np.concatenate([np.flatnonzero(given.labels == label)[:80] for label in (1, 5, 8)])
    names = np.array(["trouser", "sandal", "bag"])
    np.savez(root / "three.npz", images=given.images[chosen, ..., 0], labels=np.repeat(names, 80))
    assert train.main(["--data", f"npz:{root / 'three.npz'}", *WORDS, "--out", str(root / "run")]) == 0
    for part, count, first in (("train", 8, 0), ("test", 12, 20)):
        pictures(root / "new" / part / "boot", 9, count, first)
    pictures(root / "one" / "boot", 9, 1)
    return root


def test_a_class_of_eight_pictures_is_known_and_shipped(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "more"
    assert enroll.main(["--run", str(place / "run"), str(place / "new"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "boot: " in said and "of 8 pictures known by the others, among all 4" in said
    old, new = bundle.load(place / "run"), bundle.load(out)
    assert new.labels == (*old.labels, "boot")
    assert new.run["enrolled"]["classes"]["boot"]["pictures"] == 8
    assert new.run["enrolled"]["sha256"] == old.manifest["model.keras"]

    images = load_sample().test.images[:40].astype("float32")
    before, after = (each.model.predict(images, verbose=0) for each in (old, new))
    np.testing.assert_allclose(after[:, :3], before, atol=1e-4)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.8 and metrics["test"]["images"] == 24 + 12
    left_out = metrics["enrolled"]["boot"]
    assert left_out["pictures"] == 8 and 0 <= left_out["left_out_right"] <= 8
    rows = {row["label"]: row for row in metrics["test"]["per_class"]}
    assert rows["boot"]["recall"] > 0.5 and not metrics["exports"]["failures"]

    scaling = new.task.calibrated(after)
    opened = open_runtime(out / "exports" / "float32.tflite")
    colour = np.repeat(load_sample().test.images[:40], 3, axis=-1)
    np.testing.assert_allclose(opened.answer(colour), softmax(scaling, axis=1), atol=1e-4)

    assert evaluate.main(["--run", str(out), "--out", str(tmp_path / "again")]) == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert again["test"]["accuracy"] == metrics["test"]["accuracy"]


def test_of_one_picture_nothing_is_claimed(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "one"
    words = ["--run", str(place / "run"), str(place / "one"), "--out", str(out), "--quantize", "none"]
    assert enroll.main(words) == 0
    assert "boot: one picture: how well it is known cannot be said" in capsys.readouterr().out
    assert json.loads((out / "run.json").read_text())["enrolled"]["classes"]["boot"]["left_out_right"] is None


def test_what_cannot_be_added_is_refused_in_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "known" / "bag", 8, 2)
    (tmp_path / "empty" / "boot").mkdir(parents=True)
    pictures(tmp_path / "loose", 9, 2)
    out = tmp_path / "out"

    def refused(run: Path, folder: Path, *words: str) -> str:
        with pytest.raises(SystemExit) as stop:
            enroll.guarded(lambda: enroll.main(["--run", str(run), str(folder), "--out", str(out), *words]))
        assert stop.value.code == 2 and not out.exists()
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        return lines[0]

    run = place / "run"
    assert "class 'bag' is there already; rename its folder" in refused(run, tmp_path / "known")
    assert "class 'boot' has no images; add some" in refused(run, tmp_path / "empty")
    assert "loose: " in refused(run, tmp_path / "loose")
    assert "no such folder; expected one with a folder of pictures" in refused(run, tmp_path / "nowhere")
    assert "trains, and classes are added without" in refused(run, place / "one", "--quantize", "qat")
    assert "no such run folder" in refused(tmp_path / "nowhere", place / "one")
