"""Cross-validation's folds: which images are held out, as a function of the seed."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping

import numpy as np

from imgrec.config.settings import FoldOver
from imgrec.data.sources.dataset import Source, Split
from imgrec.data.sources.splits import divide, grouped, turn
from imgrec.errors import InputError


def parse_fold(text: str) -> tuple[int, int]:
    """Turn `2/5` into (2, 5): the second of five folds.

    Raises:
        InputError: not of that form, fewer than two folds, or a number outside them.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if count < 2 or not 1 <= number <= count:
        raise InputError(f"--fold {text}: expected I/K, the fold and how many there are, such as 1/5")
    return number, count


def fold_numbers(
    split: Split, classes: tuple[str, ...], count: int, seed: int, contents: Mapping[str, str]
) -> np.ndarray:
    """Return the fold, 0…`count`−1, of each image of `split`, int64 `[N]`: stratified, by the seed.

    scikit-learn's stratified folds over the images in the order of `splits.turn`: of each class, and in all,
    the folds' numbers of images differ by one at most. Copies of one image count once and stay together, so
    that no fold knows the answers of another.

    Args:
        split: the images, one label each.
        classes: names, for messages.
        count: how many folds, two or more.
        seed: another seed gives other folds.
        contents: id → digest of what it holds; an id that is missing is like no other.

    Raises:
        InputError: labels that are not one class an image, or a class of fewer images than folds (named).
    """
    from sklearn.model_selection import StratifiedKFold

    if split.kind != "class":
        raise InputError("--fold: expected one class an image; cross-validation knows no other labels")
    groups: list[list[int]] = []
    for label, name in enumerate(classes):
        copies = grouped(split, np.flatnonzero(split.labels == label).tolist(), contents)
        if len(copies) < count:
            raise InputError(
                f"class {name!r} has {len(copies)} different images to hold out in turn, too few for "
                f"{count} folds: add images, or ask for fewer folds"
            )
        groups += copies
    groups.sort(key=lambda group: turn(split, seed, group[0]))
    labels = np.array([split.labels[group[0]] for group in groups])
    numbers = np.empty(len(split), np.int64)
    for number, (_, held) in enumerate(StratifiedKFold(count).split(labels, labels)):
        numbers[[member for index in held for member in groups[index]]] = number
    return numbers


def in_fold(source: Source, fold: str, over: FoldOver, seed: int, contents: Mapping[str, str]) -> Source:
    """Return `source` as the training of one fold sees it: `held_out` has what is to be judged unseen.

    `over` train: the folds divide the training and validation images; the test split stays as it is. all:
    they divide every image, and what is held out is the test split too. A tenth of what is not held out is
    the validation split, which chooses the epoch, so that what is held out chooses nothing.

    Raises:
        InputError: two splits have an image of the same name, or arrays of other sizes; or as `parse_fold`,
            `fold_numbers` and `divide`.
    """
    number, count = parse_fold(fold)
    parts = [source.train, source.val, *([source.test] if over == "all" else [])]
    if len({part.images.shape[1:] for part in parts if part.images is not None}) > 1:
        raise InputError("--fold: the splits' images differ in size; expected one size, or a folder of files")
    pool = parts[0].joined(*parts[1:])
    if len(set(pool.ids)) < len(pool):
        raise InputError("--fold: two splits have images of one name; expected every name once")
    numbers = fold_numbers(pool, source.classes, count, seed, contents)
    held = pool.take(np.flatnonzero(numbers == number - 1))
    rest = pool.take(np.flatnonzero(numbers != number - 1))
    train, val = divide(rest, source.classes, (0.1,), seed, contents)
    note = f"fold {number} of {count}: {len(held):,} images held out, a tenth of the others is val"
    digest = fold_fingerprint(source.fingerprint, fold, over, seed)
    return dataclasses.replace(
        source,
        train=train,
        val=val,
        test=held if over == "all" else source.test,
        held_out=held,
        fingerprint=digest,
        notes=(*source.notes, note),
    )


def fold_fingerprint(whole: str, fold: str, over: FoldOver, seed: int) -> str:
    """Return the fingerprint of the data as one fold has it; `whole` is that of all of it."""
    return hashlib.sha256(f"{whole}\nfold {fold} of {over} {seed}".encode()).hexdigest()
