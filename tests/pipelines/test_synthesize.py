"""python -m pipelines.synthesize, from a set to more images of a rare class, and what it refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgrec.config import DataConfig
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.load import load_source
from imgrec.data.sources.long_tail import long_tailed
from imgrec.errors import InputError
from imgrec.synthesis import folder as made
from imgrec.synthesis import gan
from imgrec.synthesis.settings import SynthesisSettings
from pipelines import synthesize


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Stripes of 16 pixels in three classes, 40 images each."""
    labels = np.arange(120) % 3
    images = np.random.default_rng(0).integers(0, 100, (120, 16, 16, 3), np.uint8)
    images[labels == 0, ::4] += 130
    images[labels == 1, :, ::4] += 130
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    return f"npz:{tmp_path / 'set.npz'}"


def test_pictures_of_a_rare_class_become_training_images(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    words = ["--data", data, "--classes", "2,1", "--count", "7", "--long-tail", "4", "--seed", "5"]
    words += ["--steps", "20", "--batch-size", "8", "--out", str(out)]
    assert synthesize.main(words) == 0
    printed = capsys.readouterr().out
    assert "of: 2 (of 7 training images), 1 (of 14 training images)" in printed
    assert "step 20/20  discriminator" in printed
    assert printed.splitlines()[-1] == (
        f"use it: python -m pipelines.train --data {data} --seed 5 --long-tail 4 --extra-data {out}"
    )
    assert sorted(p.name for p in out.iterdir()) == ["1", "2", "sheet.png", "synthesis.json"]
    assert sorted(p.name for p in (out / "2").iterdir()) == [f"{n:05d}.png" for n in range(7)]
    record = json.loads((out / "synthesis.json").read_text())
    assert record["source"]["images"] == {"0": 28, "1": 14, "2": 7}
    assert record["settings"]["seed"] == 5 and len(record["losses"]) == 20
    assert record["made"]["2"]["learned_from"] == 7 and record["made"]["2"]["images"] == 7
    source = load_source(DataConfig(data=data, extra_data=str(out)), 5)
    assert not any("learned from" in note for note in source.notes)
    cut = long_tailed(source, 4, 5)
    assert cut.train.counts(3).tolist() == [28, 14 + 7, 7 + 7]
    pixels = cv2.imread(str(out / "2" / "00006.png"))[..., ::-1]
    assert np.array_equal(cut.train.images[-1], pixels)
    made.check_out(out)  # a later synthesis may take its place


@pytest.mark.slow
def test_compiled_trainings_repeat_themselves(data: str) -> None:
    train = load_source(DataConfig(data=data), 5).train
    settings = SynthesisSettings(steps=20, batch_size=8, seed=5).pair
    first, again = (gan.train(train, Preprocess((16, 16)), 3, settings).generator for _ in range(2))
    assert np.array_equal(gan.images(first, 2, 7, 5), gan.images(again, 2, 7, 5))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"--classes: name those to make images of.* 0 \(28\), 1 \(28\), 2 \(28\)"),
        (["--classes", "3"], "unknown class in --classes '3'"),
        (["--classes", "1", "--count", "0"], "--count 0: expected 1 or more"),
        (["--classes", "1", "--image-size", "8"], "the generator makes 16 to 64 pixels"),
        (["--classes", "1", "--learning-rate", "0"], "--learning-rate 0: expected more than 0"),
    ],
)
def test_bad_settings_are_named(data: str, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        synthesize.main(["--data", data, "--out", str(tmp_path / "made"), *words])
    assert not (tmp_path / "made").exists()


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files that are no synthesis"):
        made.check_out(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        made.check_out(tmp_path / "notes.txt")
    (tmp_path / "new.unfinished").mkdir()
    made.check_out(tmp_path / "new")
    (tmp_path / "new.unfinished" / "a").write_text("mine")
    with pytest.raises(InputError, match=r"new\.unfinished holds files"):
        made.check_out(tmp_path / "new")


def test_how_far_pictures_lie_apart() -> None:
    true = np.stack([np.full((4, 4, 1), grey, np.uint8) for grey in (0, 10, 250)])
    drawn = np.stack([np.full((4, 4, 1), grey, np.uint8) for grey in (4, 4, 4)])
    assert made.nearest(true, drawn) == {"made_to_true": 4.0, "true_to_true": 10.0, "made_to_made": 0.0}
    assert made.nearest(true[:1], drawn[:1]) == {
        "made_to_true": 4.0,
        "true_to_true": None,
        "made_to_made": None,
    }
