"""`train --data FOLDER` and nothing else: what it decides, says and leaves."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgrec import bundle
from imgrec.models.pretrained import packaged
from pipelines import train


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of 80 px: rings and stripes, in noise of many colours."""
    root, draw = tmp_path_factory.mktemp("data") / "photos", np.random.default_rng(0)
    rows, columns = np.mgrid[:80, :80]
    for name in ("rings", "stripes"):
        (root / name).mkdir(parents=True)
        for number in range(20):
            y, x = draw.uniform(20, 60, 2)
            phase = (
                np.hypot(rows - y, columns - x)
                if name == "rings"
                else rows * 0.8 + columns * draw.uniform(0, 1)
            )
            wave = 90 * np.sin(phase / draw.uniform(2, 4))
            image = 128 + wave[..., None] * draw.uniform(0.4, 1, 3) + draw.normal(0, 12, (80, 80, 3))
            cv2.imwrite(str(root / name / f"{number}.png"), np.clip(image, 0, 255).astype("uint8"))
    return root


def test_the_first_command(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Forty images: ImageNet's features, a solved head, and a file that answers as the model."""
    assert packaged("efficientnet_lite0"), "its weights are part of the base installation"
    out = tmp_path / "run"
    assert train.main(["--data", str(photos), "--out", str(out), "--no-tensorboard"]) == 0
    printed = capsys.readouterr().out
    assert "28 training images of 80 px: ImageNet's features in efficientnet_lite0" in printed
    assert "otherwise: --epochs 9, --weights none" in printed
    assert "(ImageNet, Apache-2.0)" in printed
    assert "--head solved --unfreeze-at 0 --quantize ptq" in printed
    run = bundle.read(out).run
    assert run["asked"]["transfer"]["weights"] == run["asked"]["optim"]["epochs"] == "auto"
    learned = {"weights": "imagenet", "freeze": "backbone", "head": "solved", "unfreeze_at": 0}
    assert run["config"]["transfer"] == {**learned, "cache_features": "true"}
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.75
    assert set(metrics["baselines"]) == {"largest_class", "quick"}
    assert [row["name"] for row in metrics["exports"]["files"]] == ["float32", "ptq_int8"]
    assert metrics["exports"]["files"][0]["agreement"] == 1.0
