"""--loss, --embedding-loss, --imbalance and --long-tail: what goes together, and trainings with them."""

import csv
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from imgrec.config import Config
from imgrec.data.sources.dataset import Source, Split
from imgrec.errors import InputError
from imgrec.learning import conflicts, methods
from imgrec.learning.auxiliary_loss import Embedding
from imgrec.runs.session import check, decide
from imgrec.runs.training import train
from imgrec.serving.predictor import Predictor
from imgrec.tasks.multiclass import Multiclass


def source(counts: list[int]) -> Source:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    split = Split(tuple(map(str, range(len(labels)))), labels, np.zeros((len(labels), 4, 4, 1), np.uint8))
    return Source(("cat", "dog"), "grey", split, split, split, "", "made", 4)


UNEVEN = source([90, 10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "crossentropy"}, "unknown loss 'crossentropy': did you mean cross_entropy"),
        ({"loss": "focal(gamma)"}, "--loss 'focal(gamma)': got gamma, expected name=value"),
        ({"loss": "focal(gamma=x)"}, "gamma='x': expected 0 or more"),
        ({"loss": "focal(gama=1)"}, "unknown option of loss focal 'gama': did you mean gamma"),
        ({"imbalance": "log"}, "unknown recipe of --imbalance 'log': did you mean logit"),
        ({"imbalance": "auto(tau=1)"}, "--imbalance auto takes no options, got 'tau'"),
        ({"embedding_loss": "triplets"}, "unknown embedding loss 'triplets': did you mean triplet?"),
        ({"embedding_loss": "supcon", "cutmix": 1.0}, "a mixed image has no class of its own"),
        ({"embedding_loss": "supcon", "freeze": "backbone"}, "--freeze none"),
        ({"embedding_loss": "supcon", "mask_loss": 0.5}, "leave out --mask-loss"),
        ({"embedding_loss": "supcon", "embedding_weight": 0.0}, "--embedding-weight 0: expected more than 0"),
        ({"augmix_consistency": -1.0}, "--augmix-consistency -1: expected 0 or more"),
        ({"augmix_consistency": 12.0, "mixup": 0.2}, "a mixed one is of two; use no mixing"),
        ({"augmix_consistency": 12.0, "augment": "flip|augmix"}, "take augmix out of --augment"),
        ({"augmix_consistency": 12.0, "freeze": "backbone"}, "--freeze none"),
        ({"augmix_consistency": 12.0, "loss": "binary_focal"}, "--loss binary_focal gives none"),
        ({"augmix_consistency": 12.0, "mask_loss": 0.5}, "leave out the other"),
        ({"augmix_consistency": 12.0, "imbalance": "decoupled"}, "use --imbalance logit"),
        ({"imbalance": "decoupled", "freeze": "backbone"}, "use --imbalance balanced"),
        ({"imbalance": "decoupled", "mask_loss": 0.5}, "does not go with --mask-loss"),
        ({"method": "supervised", "freeze": "backbone"}, "--method supervised: other settings ask"),
        ({"method": "mask_loss"}, "--method mask_loss: the setting that it follows, mask loss, is not given"),
        ({"imbalance": "decoupled", "epochs": 1}, "expected 2 epochs or more, got 1"),
        ({"imbalance": "logit", "loss": "binary_focal"}, "use --imbalance weights"),
    ],
)
def test_contradictions_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        config = Config().replace(**settings)
        check(config)
        method = methods.choose(config)
        conflicts.check(config, method)
        decide(config, UNEVEN, Multiclass(UNEVEN.classes))
        if isinstance(method, Embedding):
            method.check(config, keras.Sequential())
    assert message in str(caught.value)


def bars(path: Path, counts: list[int]) -> Path:
    """Horizontal, vertical or no stripes, in noise, in three splits; only the training is uneven."""
    draw = np.random.default_rng(0)
    parts = {}
    for name, numbers in {"train": counts, "val": [20] * 3, "test": [20] * 3}.items():
        labels = np.repeat(np.arange(3), numbers)
        images = draw.integers(0, 120, (len(labels), 16, 16, 1), np.uint8)
        images[labels == 0, ::4] += 90
        images[labels == 1, :, ::4] += 90
        parts |= {f"{name}_images": images, f"{name}_labels": labels}
    np.savez(path, **parts)
    return path


def trained(folder: Path, counts: list[int], **settings: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    data = bars(folder / "bars.npz", counts)
    config = Config().replace(
        data=f"npz:{data}",
        model="resnet8(width=8)",
        out=str(folder / "run"),
        epochs=3,
        batch_size=20,
        learning_rate=0.05,
        crop="none",
        flip=False,
        tensorboard=False,
        **{"quantize": "none", **settings},
    )
    assert train(config) == 0
    rows = list(csv.DictReader((folder / "run" / "history.csv").read_text().splitlines()))
    return json.loads((folder / "run" / "metrics.json").read_text())["test"], rows


def test_training_with_auto_reports_head_and_tail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, rows = trained(tmp_path, [80, 40, 8], imbalance="auto", mixup=0.2)
    printed = capsys.readouterr().out
    assert "note: imbalance: 80 training images of 0, 8 of 2 (ratio 10): logit adjustment" in printed
    assert "imbalance: logit tau=1" in printed
    groups = {row["group"]: row["classes"] for row in figures["by_frequency"]}
    assert groups == {"head": ["0", "1"], "tail": ["2"]}
    assert figures["balanced_accuracy"] == pytest.approx(figures["recall_macro"])
    assert f"balanced accuracy {figures['balanced_accuracy']:.4f}: head" in printed
    assert all(0 <= float(row["val_balanced_accuracy"]) <= 1 for row in rows)
    answers = Predictor.load(tmp_path / "run").predict(np.zeros((2, 16, 16, 1), np.uint8))
    assert answers.shape == (2, 3)
    page = (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Balanced accuracy" in page and "By how many training images there were" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"imbalance": "decoupled"},
        {"imbalance": "over", "embedding_loss": "supcon"},
        {"imbalance": "under", "loss": "focal"},
        {"imbalance": "weights", "loss": "binary_cross_entropy", "cutmix": 1.0},
        {"imbalance": "balanced", "quantize": "qat", "qat_epochs": 1},
        {
            "imbalance": "logit",
            "augmix_consistency": 12.0,
            "erasing": 0.3,
            "quantize": "qat",
            "qat_epochs": 1,
        },
        {"imbalance": "sqrt", "erasing": 0.5, "embedding_loss": "triplet", "precision": "mixed_bfloat16"},
    ],
    ids=lambda settings: settings["imbalance"],
)
def test_trainings_with_every_kind_of_recipe(tmp_path: Path, settings: dict[str, Any]) -> None:
    figures, rows = trained(tmp_path, [80, 40, 8], **settings)
    assert len(rows) == 3 and figures["images"] == 60
