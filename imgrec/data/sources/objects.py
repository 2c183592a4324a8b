"""Several pictures of one object, told by a column of a table: they stay together, and are judged as one."""

from collections.abc import Mapping, Sequence

import numpy as np

from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError

COLUMNS = ("object", "group")
"""A column of one of these names says which object a picture shows; an empty cell: one of its own."""


def objects_of(split: Split) -> tuple[str, ...] | None:
    """Return the object of each image, `[N]`; None where no column says so."""
    column = next((name for name in COLUMNS if name in split.attributes), None)
    if column is None:
        return None
    # A name that no cell has, for a cell is stripped.
    return tuple(cell or f" {name}" for cell, name in zip(split.attributes[column], split.ids, strict=True))


def check_whole(given: Mapping[str, Split], name: str) -> None:
    """Make sure that every object has its pictures in one split, and one class where images have one.

    Raises:
        InputError: one has not (named).
    """
    home: dict[str, str] = {}
    for part, split in given.items():
        held = objects_of(split) or ()
        for each in dict.fromkeys(held):
            if home.setdefault(each, part) != part:
                raise InputError(
                    f"{name}: object {each!r} has pictures in {home[each]} and {part}: what is tested must "
                    "not have been learned from; put all of an object into one split"
                )
        if held and split.kind == "class":
            _check_labels(split, held, name)


def _check_labels(split: Split, held: Sequence[str], name: str) -> None:
    labels: dict[str, int] = {}
    for each, label, picture in zip(held, split.labels.tolist(), split.ids, strict=True):
        if labels.setdefault(each, label) != label:
            raise InputError(f"{name}: object {each!r} has pictures of two classes, {picture} among them")


def together(given: Mapping[str, Split], contents: Mapping[str, str]) -> dict[str, str]:
    """Return id → what may not be parted: the pictures of an object, and copies of any of them.

    Args:
        given: the splits.
        contents: id → digest of what it holds; equal ones are copies.
    """
    known: dict[str, str] = dict(contents)
    above: dict[str, str] = {}

    def top(key: str) -> str:
        while above.get(key, key) != key:
            key = above[key]
        return key

    for split in given.values():
        for each, name in zip(objects_of(split) or (), split.ids, strict=False):
            own, thing = known.setdefault(name, f"id {name}"), f"object {each}"
            above[top(own)] = top(thing)
    return {name: top(key) for name, key in known.items()}


def numbered(held: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the objects in the order of their first pictures, and the number of each picture's, `[N]`."""
    names = list(dict.fromkeys(held))
    place = {name: number for number, name in enumerate(names)}
    return names, np.array([place[each] for each in held], np.int64)
