"""Images with several labels, from a CSV file to files that ship, and what does not go with them."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgrec import bundle
from imgrec.artefact import Artefact, Promise
from imgrec.config import AugmentConfig
from imgrec.data.pipeline import Feed
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.export import parity
from imgrec.learning.features import Features
from imgrec.runtimes import open_runtime
from imgrec.serving.predictor import Predictor
from imgrec.tasks.multilabel import Multilabel
from pipelines import audit, predict, train

LABELS = ("left", "right", "top")
WORDS = ["--model", "lenet5", "--image-size", "28", "--batch-size", "16", "--optimizer", "adamw"]
WORDS += [
    "--learning-rate",
    "0.002",
    "--warmup-epochs",
    "0.1",
    "--no-flip",
    "--crop",
    "none",
    "--no-tensorboard",
    # Not what the processor is faster in: the file answers exactly as the model.
    "--precision",
    "float32",
]


def bars(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Noise with a bright bar at each side that is a label, uint8 `[28, 28]`."""
    image = draw.integers(0, 70, (28, 28), np.uint8)
    for there, place in zip(labels, (np.s_[:, :6], np.s_[:, 22:], np.s_[:6, :]), strict=True):
        if there:
            image[place] += 150
    return image


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, draw = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    lines = ["path,labels"]
    for number in range(80):
        labels = [number >> bit & 1 for bit in range(3)]
        cv2.imwrite(str(root / f"{number:02d}.png"), bars(np.array(labels), draw))
        lines.append(
            f"{number:02d}.png,{'|'.join(n for n, there in zip(LABELS, labels, strict=True) if there)}"
        )
    (root / "set.csv").write_text("\n".join(lines), encoding="utf-8")
    return root / "set.csv"


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "bars"
    words = ["--data", f"csv:{table}", "--out", str(out), *WORDS, "--epochs", "12", "--qat-epochs", "1"]
    assert train.main([*words, "--mixup", "0.2", "--mix-epochs", "6", "--label-smoothing", "0.05"]) == 0
    return out


def test_figures_and_predictions_agree(trained: Path) -> None:
    read = bundle.read(trained)
    assert read.task == Multilabel(LABELS)
    assert read.config["loss"]["loss"] == "auto" and read.task == Multilabel(LABELS)
    assert read.run["data"]["images"] == {"train": 56, "val": 15, "test": 9}
    figures = json.loads((trained / "metrics.json").read_text())
    rows = list(csv.DictReader((trained / "predictions.csv").read_text().splitlines()))
    right = [row["labels"] == row["predicted"] for row in rows]
    assert figures["test"]["exact_match"] == np.mean(right) == np.mean([int(r["correct"]) for r in rows])
    assert figures["test"]["mean_average_precision"] > 0.9, "bars are easy"
    assert {"f1", "exact_match", "loss", "epoch"} <= set(figures["validation"])
    history = list(csv.DictReader((trained / "history.csv").read_text().splitlines()))
    best = max(history, key=lambda row: (float(row["val_f1"]), -float(row["val_loss"])))
    assert int(float(best["epoch"])) == figures["validation"]["epoch"]
    files = figures["exports"]["files"]
    assert [file["name"] for file in files] == ["float32", "ptq_int8", "qat_int8"]
    assert all(file["float_accuracy"] == figures["test"]["exact_match"] for file in files)
    assert files[0]["agreement"] == 1.0 and figures["exports"]["failures"] == []


def test_the_report_speaks_of_labels(trained: Path) -> None:
    page = (trained / "report" / "index.html").read_text(encoding="utf-8")
    assert "lenet5 has every label right on" in page and ">mAP<" in page and "Average precision" in page
    assert "Confusion" not in page and "f1 by epoch, 12 of them" in page
    # A split's total counts images, not labels.
    assert "<td>56</td><td>15</td><td>9</td>" in page


def test_the_file_answers_with_a_probability_a_label(
    trained: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = trained / "exports" / "float32.tflite"
    predictor = Predictor.load(file)
    assert predictor.task == Multilabel(LABELS)
    images = np.stack([predictor.preprocess.on_file(table.parent / f"{n:02d}.png") for n in range(8)])
    scores = open_runtime(file).answer(images)
    assert np.array_equal(predictor.predict(images), scores)
    logits = bundle.load(trained).model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits.astype(float))), atol=1e-5)
    np.testing.assert_allclose(Predictor.load(trained).predict(images), scores, atol=1e-5)
    assert predict.main([str(table.parent / "05.png"), "--run", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    said = {entry["label"] for entry in answer["top"] if entry["probability"] > 0.5}
    assert set(answer["labels"]) == said and len(answer["top"]) == 3
    assert predict.main([str(table.parent / "05.png"), "--run", str(file)]) == 0
    assert f"labels: {', '.join(n for n in LABELS if n in said)}\n" in capsys.readouterr().out


def test_a_file_of_other_labels_fails_the_gate(trained: Path, table: Path) -> None:
    """Labels right one by one, yet never all of an image: neither agreed on nor accurate."""
    file = trained / "exports" / "float32.tflite"
    predictor = Predictor.load(file)
    images = np.stack([predictor.preprocess.on_file(table.parent / f"{n:02d}.png") for n in range(24)])
    scores = open_runtime(file).answer(images)
    logits = np.log(scores / (1 - scores))
    labels = (logits > 0).astype(np.float32)
    artefact = Artefact(file, "tflite", "none", Promise.SAME_ANSWERS)
    row = parity.measure(artefact, images, labels, logits, logits, predictor.task)
    assert row.accuracy == row.agreement == 1.0 and parity.gate([row]) == []
    flipped = logits.copy()
    flipped[:, 1] *= -1
    row = parity.measure(artefact, images, labels, flipped, flipped, predictor.task)
    assert row.agreement == 0.0 and row.accuracy == 1.0 and "agrees with the model" in parity.gate([row])[0]


def test_the_audit_reads_the_table(table: Path, tmp_path: Path) -> None:
    assert audit.main(["--data", f"csv:{table}", "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert found["images"] == 80 and not any(issue["severity"] == "error" for issue in found["issues"])
    assert any("expected one label an image" in note for note in found["notes"])
    rows = list(csv.DictReader((tmp_path / "out" / "images.csv").read_text().splitlines()))
    sets = {"", "left", "right", "top", "left|right", "left|top", "right|top", "left|right|top"}
    assert {row["class"] for row in rows} == sets


def test_cached_features_keep_their_label_sets() -> None:
    draw = np.random.default_rng(0)
    labels = (draw.random((10, 3)) < 0.5).astype(np.float32)
    rows = np.repeat(np.arange(10, dtype=np.float32)[:, None], 4, axis=1)
    features = Features(rows[None], labels)
    targets = Multilabel(("a", "b", "c")).targets
    feed = Feed(Preprocess((8, 8)), targets, AugmentConfig(), 5, 1)
    for data in (features.evaluation_dataset(targets, 4), features.training_dataset(feed, steps=2)):
        pairs = [(x[:, 0].astype(int), y) for x, y in data.as_numpy_iterator()]
        assert sorted(np.concatenate([x for x, _ in pairs])) == list(range(10))
        assert all(np.array_equal(y, labels[x]) for x, y in pairs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--imbalance", "auto"], "--imbalance auto: expected one label an image"),
        (["--embedding-loss", "triplet"], "--embedding-loss triplet: expected one label an image"),
        (["--loss", "focal"], "use binary_focal"),
        (["--long-tail", "10"], "--long-tail 10: expected one class an image"),
    ],
)
def test_what_needs_one_label_is_refused(table: Path, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        train.main(["--data", f"csv:{table}", "--out", str(tmp_path / "run"), *WORDS, *words])
    assert message in str(raised.value) and not list(tmp_path.iterdir())
