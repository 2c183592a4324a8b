"""A long tail cut out of an even set, to try on what is to be used on real ones."""

import dataclasses
import hashlib

import numpy as np

from imgrec.data.sources.dataset import Source
from imgrec.data.sources.extra import MARK
from imgrec.data.sources.splits import turn
from imgrec.errors import InputError


def long_tail_counts(largest: int, num_classes: int, ratio: float) -> list[int]:
    """Return images of each class: largest · ratio^(−c / (C − 1)), cut to whole numbers, at least 1.

    Source: Cui et al., "Class-balanced loss based on effective number of samples", 2019 (arXiv
    1901.05555), section 5.1; 5,000, 2,997 … 50 for CIFAR-10 and ratio 100.
    """
    # The exponent of 1 / ratio, and not the root of it: the last class is to be exact.
    return [max(1, int(largest * (1 / ratio) ** (c / (num_classes - 1)))) for c in range(num_classes)]


def long_tailed(source: Source, ratio: float, seed: int) -> Source:
    """Return `source` with a long tail of its training images; validation and test stay as they are.

    The first class keeps as many as the largest has, the last that divided by `ratio`; a class that has
    fewer keeps all of its own. Which ones is a function of seed and id. Images of --extra-data all stay and
    are not counted.

    Raises:
        InputError: a ratio below 1, or labels that are not one class an image.
    """
    if not ratio >= 1:
        raise InputError(f"--long-tail {ratio:g}: expected 1 or more, such as 100, or 0 to leave all images")
    if source.train.kind != "class":
        raise InputError(
            f"--long-tail {ratio:g}: expected one class an image, and these have labels of another kind"
        )
    added = np.array([name.startswith(MARK) for name in source.train.ids], bool)
    train, classes = source.train.take(np.flatnonzero(~added)), source.classes
    wanted = long_tail_counts(int(train.counts(len(classes)).max()), len(classes), ratio)
    order = np.array(sorted(range(len(train)), key=lambda member: turn(train, seed, member)))
    kept = [order[train.labels[order] == label][:count] for label, count in enumerate(wanted)]
    remaining = np.flatnonzero(~added)[np.sort(np.concatenate(kept))]
    chosen = source.train.take(np.concatenate([remaining, np.flatnonzero(added)]))
    digest = hashlib.sha256(f"{source.fingerprint}\nlong tail {ratio!r} {seed}".encode()).hexdigest()
    note = f"--long-tail {ratio:g}: {len(remaining):,} of {len(train):,} training images left"
    return dataclasses.replace(source, train=chosen, fingerprint=digest, notes=(*source.notes, note))
