"""A model of the zoo with narrower layers: what pruning leaves, rebuilt from a few numbers in run.json."""

from collections.abc import Mapping
from typing import Any

import keras

from imgrec.errors import InputError
from imgrec.layers.composite import Composite
from imgrec.models import build_model
from imgrec.models.ensemble import joined
from imgrec.models.ranks import factored

Widths = Mapping[str, Mapping[str, int]]
"""Layer name → constructor argument → number, such as `{"stage1_block1_conv1": {"filters": 24}}`."""

ARGUMENTS = {
    "Conv2D": "filters",
    "DeformableConv2D": "filters",
    "Dense": "units",
}
"""Which argument of a layer with weights says how many channels it gives."""


def resized(model: keras.Model, widths: Widths) -> keras.Model:
    """Return `model` built anew, with new weights, its named layers as wide as `widths` says.

    Same layers, names and endpoints; what follows a narrower layer takes its shape from it, as it did when
    the model was first built.

    Args:
        model: functional; left as it is.
        widths: of layers whose width is a constructor argument; others keep theirs.

    Raises:
        InputError: a layer, argument or number that this model does not take, or numbers that do not go
            together, such as two widths in one addition.
    """
    for name, numbers in widths.items():
        _check(model, name, numbers)

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), **widths.get(layer.name, {})})

    try:
        return keras.models.clone_model(model, clone_function=clone)
    except (ValueError, InputError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{model.name}: the widths of its layers do not go together: {reason}") from None


def rebuilt(recorded: Mapping[str, Any]) -> keras.Model:
    """Build a model, with new weights, from what run.json records of it.

    Args:
        recorded: `name`, `input_shape`, `num_classes` and `options` for `build_model`; of a pruned model also
            `widths`, as `resized` takes them, and of one with layers in two `ranks`, as `factored` does. Of
            an ensemble `members`, a list of such, and `options` are for `joined`.

    Raises:
        InputError: as `build_model`, `joined`, `factored` and `resized`.
    """
    if recorded.get("members"):
        model = joined([rebuilt(member) for member in recorded["members"]], **recorded["options"])
    else:
        shape = tuple(recorded["input_shape"])
        model = build_model(recorded["name"], shape, recorded["num_classes"], **recorded["options"])
    # Layers in two first: both halves may then be narrower.
    model = factored(model, recorded["ranks"]) if recorded.get("ranks") else model
    return resized(model, recorded["widths"]) if recorded.get("widths") else model


def width_arguments(layer: keras.layers.Layer) -> set[str]:
    """Return the constructor arguments by which a layer of a model is made narrower."""
    if isinstance(layer, Composite):
        return set(layer.widths.values())
    own = ARGUMENTS.get(type(layer).__name__)
    return {own} if own else set()


def _check(model: keras.Model, name: str, numbers: Mapping[str, Any]) -> None:
    known = {layer.name: layer for layer in model.layers}
    if name not in known:
        raise InputError(f"{model.name}: has no layer {name!r} to give a width")
    arguments = width_arguments(known[name])
    for argument, number in numbers.items():
        if argument not in arguments:
            raise InputError(
                f"{model.name}: layer {name}: {argument!r} is no width; expected {sorted(arguments)}"
            )
        now = known[name].get_config()[argument]
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or number < 1 or (now and number > now):
            raise InputError(
                f"{model.name}: layer {name}: {argument}={number!r}: expected a whole number from 1"
                + (f" to {now}" if now else "")
            )
