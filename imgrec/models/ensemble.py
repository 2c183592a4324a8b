"""Several networks as one: a flat functional model of all of them on one image."""

from collections.abc import Sequence
from typing import Any

import keras

from imgrec.errors import InputError
from imgrec.layers.fusion import AnswerFusion

NAME = "ensemble"
"""What run.json calls such a model; no model of the zoo has the name."""
MOST = 64
"""So many networks in one model at most."""


def prefix(number: int) -> str:
    """Return what the names of a member's layers begin with; members are counted from 1."""
    return f"m{number}_"


def joined(members: Sequence[keras.Model], **options: Any) -> keras.Model:
    """Return one model of all `members`, with new weights; its layers are theirs, by names with a `prefix`.

    Its only new layer is `logits`, an `AnswerFusion` of the members' logits: its softmax or sigmoid is what
    the members say together.

    Args:
        members: functional, of the same pixels and as many logits; left as they are.
        options: of `AnswerFusion`.

    Raises:
        InputError: members of other shapes, or options that do not go together.
    """
    if not 2 <= len(members) <= MOST:
        raise InputError(f"ensemble: {len(members)} members, expected 2 to {MOST}")
    shapes = {(model.input_shape[1:], model.output_shape[1:]) for model in members}
    if len(shapes) > 1:
        said = ", ".join(f"{taken} to {given}" for taken, given in sorted(shapes))
        raise InputError(f"ensemble: members that map {said}: expected one image size and one set of classes")
    image = keras.Input(members[0].input_shape[1:], name="image", dtype="float32")
    outputs = [_copied(model, image, prefix(number)) for number, model in enumerate(members, start=1)]
    return keras.Model(image, AnswerFusion(**options, name="logits")(outputs), name=NAME)


def _copied(model: keras.Model, image: Any, before: str) -> Any:
    """Call copies of a member's layers on `image`, and return the copy of its output."""

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "name": before + layer.name})

    return keras.models.clone_model(model, input_tensors=image, clone_function=clone).outputs[0]


def fusion(model: keras.Model) -> AnswerFusion | None:
    """Return the layer in which the members of an ensemble come together; None of any other model."""
    last = model.layers[-1]
    return last if isinstance(last, AnswerFusion) else None


def spread_out(model: keras.Model) -> keras.Model:
    """Return the model of an ensemble whose outputs are its own logits, then those of every member."""
    last = fusion(model)
    if last is None:
        raise InputError(f"{model.name}: is no ensemble")
    return keras.Model(model.input, [model.outputs[0], *last.input], name=model.name)


def put_members(model: keras.Model, members: Sequence[keras.Model], fitted: Sequence[Any] = ()) -> None:
    """Give a model from `joined` the weights of the very members, and `fitted` ones to its last layer."""
    for number, member in enumerate(members, start=1):
        for layer in member.layers:
            if layer.weights:
                model.get_layer(prefix(number) + layer.name).set_weights(layer.get_weights())
    last = fusion(model)
    if last is not None and fitted:
        last.set_weights(list(fitted))
