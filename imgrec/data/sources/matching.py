"""Data from elsewhere, for a model that knows its classes: matched by their names."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imgrec.data.sources.dataset import Split
from imgrec.data.sources.labels import kind_of
from imgrec.errors import InputError


def matched(split: Split, classes: Sequence[str], known: Sequence[str], name: str) -> Split:
    """Return `split`, whose labels are about `classes`, with labels about `known`, by equal names.

    Args:
        split: of any kind of labels; numbers stay as they are.
        classes: C names, in the order of its labels; those without an image do not matter.
        known: K names, in another order and with others among them.
        name: of the data, for the message.

    Raises:
        InputError: an image is of a class that is not known (each class named).
    """
    if kind_of(split.labels) == "value":
        return split
    counts = split.counts(len(classes))
    strange = [each for each, count in zip(classes, counts, strict=True) if count and each not in known]
    if strange:
        more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
        raise InputError(
            f"{name}: the model knows no class {', '.join(map(repr, strange[:5]))}{more}; it knows "
            f"{', '.join(known[:8])}{' …' if len(known) > 8 else ''}: rename them or take them out"
        )
    place = {each: index for index, each in enumerate(known)}
    if kind_of(split.labels) == "classes":
        labels = np.zeros((len(split), len(known)), split.labels.dtype)
        for index, each in enumerate(classes):
            if each in place:
                labels[:, place[each]] = split.labels[:, index]
    else:
        labels = np.array([place.get(each, -1) for each in classes], split.labels.dtype)[split.labels]
    return replace(split, labels=labels)
