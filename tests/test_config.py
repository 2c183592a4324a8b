"""Settings: recipes, flags and names that do not exist."""

import json

import pytest

from imgrec.config import Config, from_mapping
from imgrec.config.facts import check_bounds, names_that_may
from imgrec.errors import InputError
from imgrec.registry import lookup


def test_field_names_are_unique_over_the_tree() -> None:
    tree = Config().tree()
    assert len(Config().flat()) == sum(len(section) for section in tree.values())


def test_a_tree_survives_json() -> None:
    config = Config().replace(epochs=3, model="resnet8(attention=se)", data="npz:x.npz")
    assert from_mapping(json.loads(json.dumps(config.tree()))) == config


def test_flat_and_nested_settings_mix() -> None:
    config = from_mapping({"optim": {"epochs": 3}, "data": "folder", "learning_rate": 1})
    assert (config.optim.epochs, config.data.data, config.optim.learning_rate) == (3, "folder", 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown setting 'epoch': did you mean epochs"),
        ({"epochs": "three"}, "setting 'epochs': got 'three', expected a number or auto"),
        ({"epochs": True}, "setting 'epochs': got True, expected a number or auto"),
        ({"optimizer": "sdg"}, "setting 'optimizer': got 'sdg', expected one of auto, sgd, adamw"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        from_mapping(settings)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "resnet8", "model_options": ["width=48", "stem_pool=true"]},
            'model_options: [width=48, stem_pool=true]: write model: "resnet8(width=48, stem_pool=true)"',
        ),
        ({"model_options": ["attention=cbam"]}, 'write model: "auto(attention=cbam)"'),
        ({"optim": {"schedule_options": ["at=[30,60]"], "schedule": "step"}}, '"step(at=[30, 60])"'),
        ({"loss_options": ["gamma=2"], "loss": "focal"}, 'write loss: "focal(gamma=2)"'),
        (
            {"embedding_loss": "triplet(margin=0.2)", "embedding_options": ["mining=semi_hard"]},
            'write embedding_loss: "triplet(margin=0.2, mining=semi_hard)"',
        ),
        ({"imbalance": "decoupled", "imbalance_options": "share=0.4"}, '"decoupled(share=0.4)"'),
    ],
)
def test_keys_of_earlier_versions_are_refused_with_the_new_ones(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError) as error:
        from_mapping(settings)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label_smoothing": 2.0}, "--label-smoothing 2: expected a share from 0 to 1"),
        ({"label_smoothing": float("nan")}, "--label-smoothing nan: expected a share"),
        ({"epochs": 0}, "--epochs 0: expected more than 0"),
        ({"batch_size": 0}, "--batch-size 0: expected more than 0"),
        ({"warmup_epochs": -1.0}, "--warmup-epochs -1: expected 0 or more"),
        ({"ema": 1.0}, "--ema 1: expected 0 or more and less than 1"),
        ({"preview": 1001}, "--preview 1001: expected 0 or more and 1000 at most"),
        ({"layer_decay": 1.5}, "--layer-decay 1.5: expected more than 0 and 1 at most"),
        ({"epochs": 0, "image_size": -1, "qat_epochs": 0}, "--image-size -1: expected 0 or more"),
    ],
)
def test_the_first_number_out_of_bounds_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_bounds(Config().replace(**values))
    assert str(error.value).startswith(message)


def test_the_ends_of_bounds_and_words_in_the_place_of_numbers_are_allowed() -> None:
    check_bounds(Config())
    check_bounds(Config().replace(label_smoothing=1.0, erasing=0.0, preview=1000, batch_size="auto"))


def test_a_resumed_run_and_a_search_may_change_what_the_fields_say() -> None:
    assert names_that_may(Config(), "resume") == {
        "data", "download", "out", "resume", "restart", "checkpoint_every", "on_nan", "preview",
        "tensorboard", "cache", "strategy", "teacher", "export_to", "calibrate", "prediction_sets",
        "coverage", "abstain", "false_alarms", "lang",
    }  # fmt: skip
    assert Config().flat().keys() - names_that_may(Config(), "tune") == {
        "data", "out", "seed", "preview", "quantize", "fold", "fold_over", "resume", "restart", "tensorboard",
        "lang", "members", "split_seed",
        "minutes", "teacher", "export_to", "prune", "calibrate", "prediction_sets", "coverage", "abstain",
        "false_alarms",
    }  # fmt: skip


def test_lookup_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown model 'resnet5O': did you mean resnet50.*known: alexnet"):
        lookup({"resnet50": 1, "alexnet": 2}, "resnet5O", "model")
