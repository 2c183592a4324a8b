"""Settings: recipes, flags and names that do not exist."""

import json

import pytest

from imgrec.config import Config, from_mapping, options_of
from imgrec.errors import InputError
from imgrec.registry import lookup


def test_field_names_are_unique_over_the_tree() -> None:
    tree = Config().tree()
    assert len(Config().flat()) == sum(len(section) for section in tree.values())


def test_a_tree_survives_json() -> None:
    config = Config().replace(epochs=3, model_options=("attention=se",), data="npz:x.npz")
    assert from_mapping(json.loads(json.dumps(config.tree()))) == config


def test_flat_and_nested_settings_mix() -> None:
    config = from_mapping({"optim": {"epochs": 3}, "data": "folder", "learning_rate": 1})
    assert (config.optim.epochs, config.data.data, config.optim.learning_rate) == (3, "folder", 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown setting 'epoch': did you mean epochs"),
        ({"epochs": "three"}, "setting 'epochs': got 'three', expected int"),
        ({"epochs": True}, "setting 'epochs': got True, expected int"),
        ({"optimizer": "sdg"}, "setting 'optimizer': got 'sdg', expected one of sgd, adamw"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        from_mapping(settings)
    assert message in str(error.value)


def test_model_options_are_typed() -> None:
    assert options_of(("attention=cbam", "width=32", "stem_pool=true")) == {
        "attention": "cbam",
        "width": 32,
        "stem_pool": True,
    }
    with pytest.raises(InputError, match="expected name=value"):
        options_of(("attention",))


def test_lookup_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown model 'resnet5O': did you mean resnet50.*known: alexnet"):
        lookup({"resnet50": 1, "alexnet": 2}, "resnet5O", "model")
