"""A model without some of its channels: smaller, dense, and with the weights of those that are left."""

import keras
import numpy as np
from numpy.typing import NDArray

from imgrec.compression.pruning.groups import Groups
from imgrec.compression.pruning.units import Labels
from imgrec.layers.composite import Composite
from imgrec.models.widths import resized


def shrink(
    model: keras.Model, found: Groups, kept: NDArray[np.bool_]
) -> tuple[keras.Model, dict[str, dict[str, int]]]:
    """Return the model without the channels that are not kept, and the widths that `resized` builds it from.

    Where what reads a removed channel was zero, the answers are the same.

    Args:
        model: that `found` was traced from; left as it is.
        kept: `[U]`, one for each channel of `found`.
    """
    widths = _widths(model, found, kept)
    smaller = resized(model, widths)
    cuts: dict[int, list[tuple[int, NDArray[np.bool_]]]] = {}
    for cut in found.channels.cuts.values():
        cuts.setdefault(id(cut.variable), []).append((cut.axis, stays(found, kept, cut.labels)))
    for old, new in zip(model.weights, smaller.weights, strict=True):
        value = keras.ops.convert_to_numpy(old)
        for axis, left in cuts.get(id(old), []):
            value = np.compress(left, value, axis)
        new.assign(value)
    return smaller, widths


def stays(found: Groups, kept: NDArray[np.bool_], labels: Labels) -> NDArray[np.bool_]:
    """Return for each label whether its channel is there."""
    index = found.index(labels)
    return (index < 0) | kept[index] if len(kept) else index < 0


def _widths(model: keras.Model, found: Groups, kept: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    """Numbers for layers that become narrower, and for all composites, whose own may follow their inputs."""
    widths: dict[str, dict[str, int]] = {}
    for (home, argument), labels in found.channels.widths.items():
        left = int(stays(found, kept, labels).sum())
        if left < len(labels) or isinstance(model.get_layer(home), Composite):
            widths.setdefault(home, {})[argument] = left
    return widths


def silence(found: Groups, kept: NDArray[np.bool_]) -> None:
    """Set to zero, in the traced model itself, every weight of the channels that are not kept."""
    for cut in found.channels.cuts.values():
        value = np.array(keras.ops.convert_to_numpy(cut.variable))
        shape = [-1 if axis == cut.axis else 1 for axis in range(value.ndim)]
        cut.variable.assign(value * stays(found, kept, cut.labels).reshape(shape))
