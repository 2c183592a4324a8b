"""Dividing a set into training, validation and test parts: stratified, and a function of the seed."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from imgrec.data.sources.dataset import NONE, Split
from imgrec.errors import InputError


def divide(
    split: Split,
    classes: tuple[str, ...],
    shares: tuple[float, ...],
    seed: int,
    contents: Mapping[str, str] = NONE,
) -> list[Split]:
    """Divide `split` into parts of about the given shares of every class, each in its old order.

    Every part gets at least one example of each class. Within a class the examples are dealt in the
    order of `turn`; copies of one image stay together, so that no part knows the answers of another.
    Where images have several labels: see `_divide_multi_label`.

    Args:
        split: the examples.
        classes: names, for messages.
        shares: of all parts but the first, which takes the rest: `(0.2, 0.1)` gives 7:2:1.
        seed: another seed gives another division.
        contents: id → digest of what it holds; an id that is missing is like no other.

    Raises:
        InputError: a class has fewer examples than there are parts (named, with its count; copies count
            once).
    """
    if split.kind == "classes":
        return _divide_multi_label(split, shares, seed, contents)
    parts: list[list[int]] = [[] for _ in range(len(shares) + 1)]
    for label, name in enumerate(classes):
        # Values are not divided by: all count as one class.
        members = np.arange(len(split)) if split.kind == "value" else np.flatnonzero(split.labels == label)
        groups = grouped(split, members.tolist(), contents)
        if len(groups) < len(parts):
            held = _images(len(groups)) + (
                ", copies counted once" if sum(map(len, groups)) > len(groups) else ""
            )
            raise InputError(
                f"class {name!r} has {held}, too few to divide into {len(parts)} splits; "
                f"add images (at least {len(parts)}) or take the class out"
            )
        groups.sort(key=lambda group: turn(split, seed, group[0]))
        total = sum(len(group) for group in groups)
        for number, (part, share) in enumerate(zip(parts[1:], shares, strict=True), start=2):
            count, dealt = max(1, int(total * share + 0.5)), 0
            # At least one group is left for each of the parts to come.
            while dealt < count and len(groups) > len(parts) - number + 1:
                part += groups[0]
                dealt += len(groups.pop(0))
        parts[0] += (member for group in groups for member in group)
    return [split.take(np.sort(np.array(part, np.int64))) for part in parts]


def turn(split: Split, seed: int, member: int) -> bytes:
    """Return sha256(seed, id): images in its order are in a random one that hangs on no library's numbers."""
    return hashlib.sha256(f"{seed}\n{split.ids[member]}".encode()).digest()


def _divide_multi_label(
    split: Split, shares: tuple[float, ...], seed: int, contents: Mapping[str, str]
) -> list[Split]:
    """Divide images with several labels so that each label has about its share in every part.

    Iterative stratification: of the labels still to be dealt the rarest comes first, and each of its images
    goes to the part that lacks most of that label, or among equals has most room. A label on fewer images
    than there are parts goes to training first, then to the next part. Source: Sechidis, Tsoumakas and
    Vlahavas, "On the stratification of multi-label data", 2011, algorithm 1.

    Raises:
        InputError: fewer images than parts.
    """
    groups = grouped(split, list(range(len(split))), contents)
    groups.sort(key=lambda group: turn(split, seed, group[0]))
    if len(groups) <= len(shares):
        raise InputError(f"{_images(len(groups))}, too few to divide into {len(shares) + 1} splits; add some")
    marks = np.array([split.labels[group].sum(axis=0) for group in groups])
    room = _wanted(np.array([float(len(split))]), shares)[:, 0]
    lacking = _wanted(marks.sum(axis=0), shares)
    part_of = np.full(len(groups), -1)
    while (part_of < 0).any():
        left = marks[part_of < 0].sum(axis=0)
        rarest = np.where(left > 0, left, np.inf).argmin() if left.any() else None
        for index in np.flatnonzero((part_of < 0) & (marks[:, rarest] > 0 if rarest is not None else True)):
            need = lacking[:, rarest] if rarest is not None else room
            part = np.lexsort((-room, -need))[0]
            part_of[index] = part
            lacking[part] -= marks[index]
            room[part] -= len(groups[index])
    members = [
        [m for index in np.flatnonzero(part_of == part) for m in groups[index]] for part in range(len(room))
    ]
    return [split.take(np.sort(np.array(part, np.int64))) for part in members]


def _wanted(counts: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """How many of `counts` `[K]` each part should have, float64 `[parts, K]`, at least 1 of each."""
    others = np.stack([np.maximum(1.0, np.floor(counts * share + 0.5)) for share in shares])
    return np.concatenate([np.maximum(1.0, counts - others.sum(axis=0))[np.newaxis], others])


def grouped(split: Split, members: list[int], contents: Mapping[str, str]) -> list[list[int]]:
    """Members of equal contents together, in their order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for member in members:
        name = split.ids[member]
        groups[contents.get(name, f"id {name}")].append(member)
    return list(groups.values())


def complete(
    given: dict[str, Split], classes: tuple[str, ...], seed: int, contents: Mapping[str, str] = NONE
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Make the missing ones of `train`, `val` and `test`; return all three and a note on what was done.

    Only train: 7:2:1. No val: a tenth of train. No test: val is halved, so that train stays whole.
    `contents` as in `divide`.

    Raises:
        InputError: a class is too small for that.
    """
    if len(given) == 3:
        return given, ()
    if "val" in given:
        val, test = divide(given["val"], classes, (0.5,), seed, contents)
        return {**given, "val": val, "test": test}, (
            "no test split given: half of val was set aside as test",
        )
    if "test" in given:
        train, val = divide(given["train"], classes, (0.1,), seed, contents)
        return {**given, "train": train, "val": val}, (
            "no val split given: a tenth of train was set aside as val",
        )
    train, val, test = divide(given["train"], classes, (0.2, 0.1), seed, contents)
    return {"train": train, "val": val, "test": test}, ("no splits given: divided 7:2:1 by class and seed",)


def check_classes(splits: dict[str, Split], classes: tuple[str, ...], name: str) -> None:
    """Raise InputError when there are fewer than two classes, or a split lacks one of them (named).

    Of images with several labels only the training split must have them all.
    """
    if len(classes) < 2 and splits["train"].kind != "value":
        found = f"only {classes[0]!r}" if classes else "none"
        raise InputError(f"{name}: expected two classes or more, found {found}")
    for part, split in splits.items():
        absent = _absent(split, classes)
        if absent and (part == "train" or split.kind != "classes"):
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            mend = "take it out of the classes" if part == "train" else "leave the split out to have one made"
            raise InputError(
                f"{name}: the {part} split has no image of class {absent[0]!r}{more}; add some, or {mend}"
            )


def missing(splits: Mapping[str, Split], classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return a note for each split that lacks classes, whose figures there can say nothing of them."""
    found = {part: _absent(split, classes) for part, split in splits.items()}
    return tuple(
        f"no image of {', '.join(names[:5])}{' …' if len(names) > 5 else ''} in the {part} split"
        for part, names in found.items()
        if names
    )


def _absent(split: Split, classes: tuple[str, ...]) -> list[str]:
    return [classes[i] for i in np.flatnonzero(split.counts(len(classes)) == 0)]


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
