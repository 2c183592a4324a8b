"""--erasing and --mask-loss: what goes together, and a training that teaches a mask."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning import conflicts, methods
from imgrec.runs.session import check
from imgrec.runs.training import train


def checked(config: Config) -> None:
    check(config)
    conflicts.check(config, methods.choose(config))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"erasing": 1.5}, "--erasing 1.5: expected a share from 0 to 1"),
        ({"erasing_area": -0.1}, "--erasing-area -0.1: expected a share from 0 to 1"),
        ({"mask_loss": -1.0, "erasing": 0.5}, "--mask-loss -1: expected 0 or more"),
        ({"mask_loss": 1.0}, "nothing is hidden without erasing: add --erasing 0.5"),
        ({"mask_loss": 1.0, "erasing": 0.5, "cutmix": 1.0}, "use no mixing"),
        ({"mask_loss": 1.0, "erasing": 0.5, "freeze": "backbone"}, "--freeze none"),
    ],
)
def test_contradictions_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(Config().replace(**settings))
    assert message in str(caught.value)


def test_what_goes_together_passes() -> None:
    checked(Config().replace(mask_loss=1.0, erasing=0.5))
    checked(Config().replace(erasing=0.5, cutmix=1.0))


@pytest.mark.slow
def test_training_with_a_mask_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw, labels = np.random.default_rng(0), np.arange(60) % 2
    images = draw.integers(0, 80, (60, 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 150
    images[labels == 1, :, ::4] += 150
    np.savez(tmp_path / "stripes.npz", images=images, labels=labels)
    config = Config().replace(
        data=f"npz:{tmp_path / 'stripes.npz'}",
        model="resnet8(attention=occlusion)",
        out=str(tmp_path / "run"),
        quantize="none",
        epochs=1,
        batch_size=14,
        tensorboard=False,
        erasing=0.7,
        mask_loss=0.5,
    )
    assert train(config) == 0
    printed = capsys.readouterr().out
    assert "erasing 0.7" in printed and "mask loss 0.5" in printed
    (row,) = csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines())
    assert float(row["loss"]) > 0 and 0 <= float(row["val_accuracy"]) <= 1
    with pytest.raises(InputError, match="attention=occlusion"):
        train(config.replace(model="resnet8", out=str(tmp_path / "plain")))
