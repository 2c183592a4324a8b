"""A finished run measured again: the same figures on its own data, and matched classes on new data."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from imgrec import bundle
from imgrec.errors import InputError
from pipelines import evaluate, train

WORDS = ["--model", "resnet8(width=8)", "--weights", "none", "--epochs", "2", "--batch-size", "16"]
WORDS += ["--learning-rate", "0.05", "--quantize", "none", "--precision", "float32", "--no-tensorboard"]
CLASSES = ["none", "lying", "standing"]


def stripes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """No stripes, lying ones, or standing ones, with noise: uint8 `[N, 28, 28]` and labels."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = draw.integers(0, 120, (count, 28, 28), dtype=np.uint8)
    images[labels == 1, ::4] += 130
    images[labels == 2, :, ::4] += 130
    return images, labels


def saved(path: Path, images: np.ndarray, labels: np.ndarray, classes: list[str]) -> str:
    np.savez(path, images=images, labels=labels, classes=np.array(classes))
    return f"npz:{path}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    images, labels = stripes(150)
    return saved(tmp_path_factory.mktemp("data") / "stripes.npz", images, labels, CLASSES)


@pytest.fixture(scope="module")
def run(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "stripes"
    train.main(["--data", data, "--out", str(out), *WORDS])
    return out


def figures(folder: Path) -> dict[str, object]:
    return json.loads((folder / "metrics.json").read_text())["test"]


def answers(folder: Path) -> list[dict[str, str]]:
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_on_its_own_test_split_it_gives_the_figures_of_the_training(
    run: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = bundle.verify(run)
    assert evaluate.main(["--run", str(run)]) == 0
    out = run.with_name("stripes.evaluations") / "test"
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"done: {out} ")
    measured, trained = (json.loads((each / "metrics.json").read_text()) for each in (out, run))
    assert measured["test"] == trained["test"] and set(measured) >= set(trained) - {"exports", "validation"}
    assert measured == {name: trained[name] for name in measured}
    assert (out / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    assert bundle.verify(run) == sealed
    assert {"run.json", "metrics.json", "predictions.csv", "report/index.html"} <= set(
        json.loads((out / "manifest.json").read_text())
    )
    # Named by --data it is the run's own data still; an earlier evaluation may be replaced.
    assert evaluate.main(["--run", str(run), "--data", data, "--split", "val"]) == 0
    assert figures(run.with_name("stripes.evaluations") / "val")["split"] == "val"
    assert evaluate.main(["--run", str(run)]) == 0


def test_programs_read_the_figures_and_readers_their_own_language(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "chinese"
    assert evaluate.main(["--run", str(run), "--out", str(out), "--json", "--lang", "zh"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads((out / "metrics.json").read_text())
    assert "stripes.npz: measuring on" in said.err and f"done: {out}" in said.err
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in page and "对测试集的" in page
    with pytest.raises(InputError, match="--lang"):
        evaluate.main(["--run", str(run), "--lang", "de"])


def test_classes_of_new_data_are_matched_by_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, labels = stripes(60, seed=1)
    same = saved(tmp_path / "same.npz", images, labels, CLASSES)
    turned = saved(tmp_path / "turned.npz", images, 2 - labels, CLASSES[::-1])
    for name, spec in (("same", same), ("turned", turned)):
        evaluate.main(["--run", str(run), "--data", spec, "--out", str(tmp_path / name)])
    assert figures(tmp_path / "same") == figures(tmp_path / "turned")
    assert figures(tmp_path / "same")["images"] == 60 and figures(tmp_path / "same")["split"] == "new"
    assert "new accuracy" in capsys.readouterr().out
    assert answers(tmp_path / "same") == answers(tmp_path / "turned")

    keep = labels != 0
    fewer = saved(tmp_path / "fewer.npz", images[keep], 2 - labels[keep], ["standing", "lying"])
    evaluate.main(["--run", str(run), "--data", fewer, "--out", str(tmp_path / "fewer")])
    assert "note: no image of none in the whole split" in capsys.readouterr().out
    told = {row["id"]: row["label"] for row in answers(tmp_path / "fewer")}
    assert list(told.values()) == [CLASSES[label] for label in labels[keep]]

    odd = saved(tmp_path / "odd.npz", images, labels, ["none", "lying", "crossed"])
    with pytest.raises(InputError, match=r"knows no class 'crossed'; it knows none, lying, standing"):
        evaluate.main(["--run", str(run), "--data", odd, "--out", str(tmp_path / "odd")])
    assert not (tmp_path / "odd").exists() and not (tmp_path / "odd.unfinished").exists()
    with pytest.raises(InputError, match="not divided into splits"):
        evaluate.main(["--run", str(run), "--data", same, "--split", "test"])


def test_what_it_may_not_write_to_or_read_is_refused(run: Path, data: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lies in the run"):
        evaluate.main(["--run", str(run), "--out", str(run / "more")])
    images, labels = stripes(150, seed=2)
    path = Path(data.removeprefix("npz:"))
    before = path.read_bytes()
    try:
        saved(path, images, labels, CLASSES)
        with pytest.raises(InputError, match="changed since the training"):
            evaluate.main(["--run", str(run)])
    finally:
        path.write_bytes(before)
    with pytest.raises(InputError, match="no such run folder"):
        evaluate.main(["--run", str(tmp_path / "nothing")])
    other = tmp_path / "other"
    other.mkdir()
    (other / "run.json").write_text((run / "run.json").read_text())
    with pytest.raises(InputError, match="holds a run, and not evaluations"):
        evaluate.main(["--run", str(run), "--out", str(other)])


def test_robustness_is_asked_for_by_name_and_stands_in_report_and_metrics(run: Path, tmp_path: Path) -> None:
    also = f"corruptions(severities=5, images=6, baseline={run})|attacks(epsilon=8, steps=3, images=6)"
    assert evaluate.main(["--run", str(run), "--out", str(tmp_path / "hard"), "--also", also]) == 0
    held = json.loads((tmp_path / "hard" / "metrics.json").read_text())
    told = held["corruptions"]
    assert told["images"] == 6 and len(told["by_corruption"]) == 15
    # Against itself: equal under every corruption, unless it makes no mistake to divide by.
    assert told["baseline"]["mce"] in (1, None) and told["baseline"]["mean_error"] == told["mean_error"]
    assert held["attacks"]["strengths"][0]["pgd"]["accuracy"] <= held["attacks"]["clean"]["accuracy"]
    page = (tmp_path / "hard" / "report" / "index.html").read_text(encoding="utf-8")
    assert page.index('id="corruptions"') < page.index('id="attacks"') < page.index('id="use"')


def test_a_wrong_option_of_an_evaluation_leaves_nothing_behind(run: Path, tmp_path: Path) -> None:
    words = ["--run", str(run), "--out", str(tmp_path / "bad"), "--also", "corruptions(severities=9)"]
    with pytest.raises(InputError, match="severities from 1 to 5"):
        evaluate.main(words)
    assert not list(tmp_path.iterdir())
