"""The maps inside a network, found by the names of its endpoints, and the network parted there."""

import re
from typing import TYPE_CHECKING

from imgrec.errors import InputError
from imgrec.registry import lookup

if TYPE_CHECKING:
    import keras

COARSEST = 4
"""Places a side below which a map says little of where: such an endpoint is taken where all are so coarse."""
_NAMES = re.compile(r"stem|stage\d+")


def spatial(model: "keras.Model") -> dict[str, tuple[int, int]]:
    """Return the endpoints that are maps `[B, h, w, C]` of more than one place, in order: name → (h, w)."""
    shapes = {layer.name: layer.output.shape for layer in model.layers if _NAMES.fullmatch(layer.name)}
    return {
        name: (int(shape[1]), int(shape[2]))
        for name, shape in shapes.items()
        if len(shape) == 4 and shape[1] * shape[2] > 1
    }


def choose(model: "keras.Model", endpoint: str, method: str) -> str:
    """Return the endpoint that is looked at: the one named, or by `auto` the deepest that is fine enough.

    The deepest knows most of classes; it is left for an earlier one where it has fewer than `COARSEST`
    places a side and that one has more.

    Args:
        model: a model of the zoo.
        endpoint: `auto`, or a name such as `stage3`.
        method: what the explanation is called, for messages.

    Raises:
        InputError: no endpoint of the model is a map, or none of that name.
    """
    found = spatial(model)
    if not found:
        raise InputError(
            f"--explain {method}: {model.name} has no map of places, its layers pass tokens on: "
            "take rollout, occlusion or integrated_gradients"
        )
    if endpoint == "auto":
        fine = [name for name, sides in found.items() if min(sides) >= COARSEST]
        return fine[-1] if fine else max(found, key=lambda name: min(found[name]))
    lookup(found, endpoint, f"endpoint of {model.name} with a map")
    return endpoint


def parted(model: "keras.Model", endpoint: str) -> "tuple[keras.Model, keras.Model]":
    """Return the network up to an endpoint, and from there to the outputs; layers and weights are shared."""
    import keras

    middle = model.get_layer(endpoint).output
    below = keras.Model(model.input, middle, name=f"{model.name}_below")
    return below, keras.Model(middle, model.output, name=f"{model.name}_above")
