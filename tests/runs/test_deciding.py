"""What is left to `auto`: chosen by the images, the network and the time; what is given stays."""

from typing import Any

import numpy as np
import pytest

from imgrec.config import Config
from imgrec.data.sources.dataset import Source, Split
from imgrec.runs import deciding
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.task import Task


def source(side: int, train: int = 180, val: int = 50, test: int = 20) -> Source:
    def split(images: int) -> Split:
        ids = tuple(map(str, range(images)))
        return Split(ids, np.arange(images, dtype="int32") % 2, np.zeros((images, 2, 2, 1), "uint8"))

    return Source(("a", "b"), "rgb", split(train), split(val), split(test), "0" * 64, "made", side)


def decided(side: int, train: int = 180, **given: Any) -> Config:
    images, config = source(side, train), Config().replace(**given)
    task: Task = Multiclass(images.classes)
    return deciding.numbers(deciding.network(config, images, task), train)


def facts(config: Config, *names: str) -> tuple[Any, ...]:
    return tuple(config.flat()[name] for name in names)


@pytest.mark.parametrize(
    ("side", "train", "given", "expected"),
    [
        (300, 180, {}, ("efficientnet_lite0", "imagenet", "backbone", "solved", 0, "ptq")),
        (300, 5000, {}, ("efficientnet_lite0", "imagenet", "backbone", "solved", 1, "ptq")),
        (28, 180, {}, ("efficientnet_lite0", "imagenet", "backbone", "solved", 0, "ptq")),
        (28, 5000, {}, ("resnet20", "none", "none", "trained", 0, "qat")),
        (28, 180, {"image_size": 28}, ("resnet20", "none", "none", "trained", 0, "qat")),
        (300, 5000, {"weights": "none"}, ("resnet18", "none", "none", "trained", 0, "qat")),
        (300, 180, {"model": "resnet18"}, ("resnet18", "none", "none", "trained", 0, "qat")),
        (300, 180, {"mixup": 0.2}, ("efficientnet_lite0", "imagenet", "none", "trained", 0, "ptq")),
        (300, 180, {"imbalance": "weights"}, ("efficientnet_lite0", "imagenet", "none", "trained", 0, "ptq")),
        (300, 180, {"freeze": "none"}, ("efficientnet_lite0", "imagenet", "none", "trained", 0, "ptq")),
        (300, 180, {"epochs": 4}, ("efficientnet_lite0", "imagenet", "backbone", "solved", 1, "ptq")),
        (
            300,
            180,
            {"freeze": "backbone", "epochs": 4},
            ("efficientnet_lite0", "imagenet", "backbone", "trained", 0, "ptq"),
        ),
        (300, 5000, {"unfreeze_at": 0}, ("efficientnet_lite0", "imagenet", "backbone", "solved", 0, "ptq")),
        (300, 180, {"quantize": "none"}, ("efficientnet_lite0", "imagenet", "backbone", "solved", 0, "none")),
    ],
)
def test_network_weights_and_what_learns(
    side: int, train: int, given: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    found = decided(side, train, **given)
    assert facts(found, "model", "weights", "freeze", "head", "unfreeze_at", "quantize") == expected
    assert {name: found.flat()[name] for name in given} == given


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [(50, 16, 100), (182, 16, 100), (7000, 64, 23), (12_000, 64, 15), (60_000, 128, 15), (10**6, 128, 15)],
)
def test_epochs_are_counted_in_updates(images: int, batch: int, epochs: int) -> None:
    assert deciding.batch_for(images) == batch
    assert deciding.epochs_for(images, batch) == epochs


def test_the_rate_follows_family_optimiser_and_batch() -> None:
    """ResNet's is 0.1 for 128 images at SGD; AdamW's is far smaller; what is given stays."""
    own, adamw = decided(28, 7000), decided(28, 7000, optimizer="adamw")
    assert own.optim.optimizer == "sgd"
    assert own.optim.learning_rate > 10 * adamw.optim.learning_rate
    halved = decided(28, 7000, batch_size=32)
    assert halved.optim.learning_rate == pytest.approx(own.optim.learning_rate / 2, rel=0.05)
    given = decided(28, 7000, learning_rate=0.3, weight_decay=0.0)
    assert facts(given, "learning_rate", "weight_decay") == (0.3, 0.0)
    assert decided(28, 7000, model="vit_small_image").optim.optimizer == "adamw"


def test_patience_waits_only_where_the_schedule_has_no_end() -> None:
    assert decided(28, 7000).optim.patience == 0
    assert decided(28, 7000, schedule="plateau", epochs=40).optim.patience == 8
    assert decided(28, 7000, schedule="constant", patience=3).optim.patience == 3


@pytest.mark.parametrize(
    ("side", "given", "crop"),
    [
        (28, {"weights": "none"}, "pad"),
        (28, {"weights": "none", "epochs": 5}, "none"),
        (28, {"model": "lenet5"}, "none"),
        (28, {"model": "lenet5", "crop": "pad"}, "pad"),
        (224, {"weights": "none"}, "random_resized"),
        (224, {}, "pad"),
        (224, {"unfreeze_at": 0}, "none"),
    ],
)
def test_crops(side: int, given: dict[str, Any], crop: str) -> None:
    assert deciding.crop(decided(side, 5000, **given), side) == crop


def within(given: Config, config: Config, forward: float, images: Source) -> tuple[Config, str]:
    """A step at three times the price of a forward pass."""
    return deciding.within(given, config, forward, 3 * forward, images)


def test_minutes_shorten_what_was_left_alone() -> None:
    images, asked = source(300, 5000), Config().replace(minutes=10.0)
    config = decided(300, 5000, minutes=10.0)
    assert within(asked, config, 0.001, images) == (config, "")
    fewer, note = within(asked, config, 0.005, images)
    assert 1 < fewer.optim.epochs < config.optim.epochs
    assert f"{fewer.optim.epochs - 1} epochs of fine-tuning of the 8" in note
    assert "--minutes" in note
    none, note = within(asked, config, 0.1, images)
    assert facts(none, "epochs", "unfreeze_at") == (1, 0)
    given = Config().replace(epochs=9)
    assert within(given, config, 0.1, images) == (config, "")
    scratch = decided(300, 5000, weights="none", minutes=10.0)
    assert within(asked, scratch, 1.0, images)[0].optim.epochs == deciding.LEAST_EPOCHS


def test_no_given_setting_is_passed_over() -> None:
    """What only steps can follow asks for steps, also of few images, and for some where there is no time."""
    images = source(300, 180)
    for given in ({"learning_rate": 1e-4}, {"optimizer": "sgd"}, {"ema": 0.9}, {"schedule": "constant"}):
        found = decided(300, 180, **given)
        assert facts(found, "head", "unfreeze_at", "epochs") == ("solved", 1, 1 + deciding.FINE_TUNING)
        assert {name: found.flat()[name] for name in given} == given
        asked = Config().replace(**given)
        assert within(asked, found, 1.0, images)[0].optim.epochs == 1 + deciding.FEWEST_FINE
    for given in ({"batch_size": 8}, {"on_nan": "rollback"}):
        assert decided(300, 180, **given).transfer.unfreeze_at == 0
    found = decided(300, 180, unfreeze_at=3)
    assert facts(found, "unfreeze_at", "epochs") == (3, 3 + deciding.FINE_TUNING)
    shorter, note = within(Config().replace(unfreeze_at=3), found, 1.0, images)
    assert facts(shorter, "unfreeze_at", "epochs") == (3, 3 + deciding.FEWEST_FINE)
    assert "3 epochs of fine-tuning of the 8" in note


def test_a_head_alone_sees_whole_images() -> None:
    images, config = source(300, 5000), decided(300, 5000)
    alone, _ = within(Config(), config.replace(crop="pad"), 0.1, images)
    assert facts(alone, "unfreeze_at", "crop") == (0, "none")


def test_the_time_that_a_note_names_is_enough() -> None:
    images, config = source(28, 5000), decided(28, 5000, minutes=2.0)
    shorter, note = within(Config().replace(minutes=2.0), config, 0.003, images)
    assert shorter.optim.epochs < config.optim.epochs
    minutes = float(note.split("--minutes ")[1].split()[0])
    longer = config.replace(minutes=minutes)
    assert within(Config(), longer, 0.003, images) == (longer, "")


def test_what_was_decided_is_shown_as_flags() -> None:
    line = deciding.shown(Config(), decided(28, 7000))
    assert "--epochs 23 " in line
    assert "--model resnet20" in line
    assert "--quantize qat" in line
    assert "--epochs" not in deciding.shown(Config().replace(epochs=23), decided(28, 7000, epochs=23))
    assert "--learning-rate" not in deciding.shown(Config(), decided(300))  # no step is taken
