"""Optimiser, schedule, averages, monitoring and the sweep of rates, by the flags of pipelines.train."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.serving.predictor import Predictor
from pipelines import train

SMALL = ["--model", "resnet8(width=8)", "--batch-size", "20", "--quantize", "none"]
SMALL += ["--crop", "none", "--no-flip"]


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Horizontal, vertical or no stripes, in noise."""
    draw = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = draw.integers(0, 120, (240, 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 90
    images[labels == 1, :, ::4] += 90
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    np.savez(path, images=images, labels=labels)
    return path


def test_a_training_with_all_of_it(bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ["--data", f"npz:{bars}", "--out", str(out), *SMALL, "--epochs", "4", "--learning-rate", "0.01"]
    words += ["--optimizer", "muon", "--weight-decay", "0.0005", "--schedule", "restarts(shrink=0.5)"]
    words += ["--accumulate", "2", "--ema", "0.7", "--clip-norm", "5", "--l2", "1e-4", "--monitor-every", "4"]
    assert train.main(words) == 0
    printed = capsys.readouterr().out
    line = (
        "muon, peak rate 0.01, restarts(shrink=0.5) after 1 epochs of warm-up, decay 0.0005, label smoothing"
    )
    assert f"{line} 0.1, L2 0.0001, gradients clipped to 5, EMA 0.7, an update every 2 steps" in printed
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    parts = ["stem", "stage1", "stage2", "stage3", "logits"]
    for kind in ("gradient_norm", "weight_norm", "update_ratio"):
        assert [name for name in rows[0] if name.startswith(kind)] == [f"{kind}/{part}" for part in parts]
        assert all(0 < float(row[f"{kind}/{part}"]) < 100 for row in rows for part in parts)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.7
    assert metrics["validation"]["accuracy"] == max(float(row["val_accuracy"]) for row in rows)
    logs = {path.name for path in (out / "tensorboard").iterdir()}
    assert {"steps", "images", "train", "validation"} <= logs
    assert Predictor.load(out).predict(np.zeros((1, 16, 16, 1), np.uint8)).shape == (1, 3)
    assert "gradient_norm" not in (out / "report" / "index.html").read_text(encoding="utf-8")


def test_a_sweep_suggests_a_rate_and_stops(
    bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["--data", f"npz:{bars}", "--out", str(out), *SMALL, "--epochs", "10", "--lr-find"]
    assert train.main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    suggested = float(next(line for line in printed if line.startswith("suggested")).split()[2].rstrip(","))
    assert 1e-4 < suggested < 1
    assert printed[-1] == str(tmp_path / "run.lr_find.png")
    assert [path.name for path in tmp_path.iterdir()] == ["run.lr_find.png"]
    assert (tmp_path / "run.lr_find.png").read_bytes().startswith(b"\x89PNG")


def test_flags_that_cannot_be_meant_end_before_data_is_read(tmp_path: Path) -> None:
    for flags, message in (
        (["--schedule", "cosin"], "did you mean cosine"),
        (["--swa-epochs", "2", "--patience", "1"], "--swa-epochs averages the last epochs"),
        (["--monitor-every", "-1"], "--monitor-every -1: expected 0 or more"),
    ):
        with pytest.raises(InputError, match=message):
            train.main(["--data", "nowhere", "--out", str(tmp_path / "run"), *flags])
    assert not list(tmp_path.iterdir())
