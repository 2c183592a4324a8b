"""Classes beside those of a set (`--new-classes`), a folder each: `pipelines.enroll` adds them."""

import dataclasses
import hashlib

import numpy as np

from imgrec.config import DataConfig
from imgrec.data.sources.dataset import Source, Split, fingerprint
from imgrec.data.sources.extra import stored_alike
from imgrec.data.sources.opened import Opened
from imgrec.errors import InputError

MARK = "new:"
"""How the id of such a picture begins; the path below its folder follows."""


def with_new_classes(source: Source, more: Opened, data: DataConfig) -> Source:
    """Return `source` with the classes of a folder behind its own, and their pictures.

    Where the folder has no splits of its own all pictures are for training; else each goes to its split.

    Args:
        source: a set with its three splits.
        more: what was opened, a folder of class folders.
        data: settings; `data.new_classes` is the folder.

    Raises:
        InputError: no folder of class folders, a class without a picture, or one that the set has already.
    """
    folder = data.new_classes
    if more.scan is None:
        raise InputError(f"--new-classes {folder}: expected a folder with one folder of pictures a class")
    if source.train.kind != "class":
        raise InputError(f"--new-classes {folder}: the set's images do not have one class each; leave it out")
    if known := [name for name in more.classes if name in source.classes]:
        raise InputError(
            f"{folder}: class {known[0]!r} is there already; rename its folder, or take it out (more images "
            "of a known class want a training: --extra-data)"
        )
    counts = more.given["train"].counts(len(more.classes))
    if not counts.all():
        raise InputError(
            f"{folder}: class {more.classes[int(counts.argmin())]!r} has no picture to learn from"
        )
    total = hashlib.sha256(source.fingerprint.encode())
    parts = dict(source.splits)
    for part, given in more.given.items():
        ids = tuple(MARK + name for name in given.ids)
        labels = (given.labels + len(source.classes)).astype(parts[part].labels.dtype)
        added = dataclasses.replace(given, ids=ids, labels=labels)
        total.update(f"{part}\n{fingerprint(more.classes, [added], more.digests)}".encode())
        parts[part] = parts[part].joined(stored_alike(parts[part], added, data, source.bits))
    names = ", ".join(f"{name} ({count})" for name, count in zip(more.classes, counts, strict=True))
    return dataclasses.replace(
        source,
        classes=(*source.classes, *more.classes),
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        fingerprint=total.hexdigest(),
        notes=(*source.notes, f"new classes, with pictures to learn from: {names}"),
        findings=source.findings
        + tuple(dataclasses.replace(found, id=MARK + found.id) for found in more.findings),
    )


def of_new_classes(split: Split, known: int) -> Split:
    """Return the images of a split whose class is none of the first `known`."""
    return split.take(np.flatnonzero(split.labels >= known))
