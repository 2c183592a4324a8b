"""Cross-validation's figures: answers for images held out, and means over folds with their intervals."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.files import write_csv
from imgrec.metrics.answers import printable, softmax
from imgrec.metrics.intervals import wilson_interval

FILE = "out_of_fold.csv"
_MARK = "p:"
"""Begins the name of a column that holds a class's probability, so that a class may be called `id`."""


@dataclass(frozen=True)
class Answers:
    """What one fold's model says of the images that it has never seen."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    """`[N, C]`, rows sum to 1."""

    @property
    def figures(self) -> dict[str, float]:
        """Accuracy, and balanced accuracy: the mean of the recalls of the classes that have images."""
        index = {name: number for number, name in enumerate(self.classes)}
        labels = np.array([index[name] for name in self.labels])
        predicted = self.probabilities.argmax(axis=1)
        recalls = [float((predicted[labels == label] == label).mean()) for label in np.unique(labels)]
        return {
            "accuracy": float((predicted == labels).mean()),
            "balanced_accuracy": float(np.mean(recalls)),
        }


def write_answers(path: Path, split: Split, logits: NDArray[np.floating], classes: Sequence[str]) -> None:
    """Write one row an image: id, label, and the probability of each class, to nine significant digits.

    Args:
        path: the CSV file, written whole or not at all.
        split: N images, one label each.
        logits: `[N, C]`.
        classes: C names.
    """
    rows: list[list[str]] = [["id", "label", *(_MARK + name for name in classes)]]
    for name, label, row in zip(split.ids, split.labels, softmax(logits), strict=True):
        rows.append([printable(name), classes[label], *(f"{share:.9g}" for share in row)])
    write_csv(path, rows)


def read_answers(path: Path) -> Answers:
    """Read what `write_answers` wrote.

    Raises:
        InputError: no such file, or not such a table.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            head, *rows = list(csv.reader(stream))
        classes = tuple(name.removeprefix(_MARK) for name in head[2:])
        probabilities = np.array([[float(share) for share in row[2:]] for row in rows])
        if head[:2] != ["id", "label"] or probabilities.shape != (len(rows), len(classes)) or not rows:
            raise ValueError("other columns")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run that fold again") from None
    return Answers(tuple(row[0] for row in rows), tuple(row[1] for row in rows), classes, probabilities)


def write_joined(path: Path, folds: Sequence[Answers]) -> None:
    """Write the answers of all folds as one table, with the fold's number, from 1, in front.

    Raises:
        InputError: an image was held out twice, or the folds' classes differ: the data changed in between.
    """
    ids = [name for answers in folds for name in answers.ids]
    if len(set(ids)) < len(ids) or len({answers.classes for answers in folds}) > 1:
        raise InputError(
            "the folds are not of one set: an image was held out twice, or the classes differ; "
            "the data changed between them: begin again with another --out"
        )
    rows: list[list[str]] = [["fold", "id", "label", *(_MARK + name for name in folds[0].classes)]]
    for number, answers in enumerate(folds, start=1):
        for name, label, row in zip(answers.ids, answers.labels, answers.probabilities, strict=True):
            rows.append([str(number), name, label, *(f"{share:.9g}" for share in row)])
    write_csv(path, rows)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> dict[str, Any]:
    """Return the mean of a figure over folds, its standard deviation and its confidence interval.

    `mean ± t · s / √K` with Student's t of K − 1 degrees of freedom (Student, 1908). The folds' trainings
    share images, so that the interval is an approximation: no unbiased estimate of this variance exists
    (Bengio and Grandvalet, 2004, JMLR 5).

    Raises:
        ValueError: fewer than two values.
    """
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError("an interval takes two values or more")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))
    return {
        "mean": mean,
        "deviation": deviation,
        f"interval_{100 * confidence:g}": [mean - half, mean + half],
    }


def over_folds(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return `mean_interval` of every figure of the folds, each a mapping of the same names."""
    return {name: mean_interval([row[name] for row in rows]) for name in rows[0]}


def pooled(folds: Sequence[Answers]) -> dict[str, Any]:
    """Return the accuracy over all images held out, each judged once, with its Wilson interval."""
    right = images = 0
    for answers in folds:
        right += round(answers.figures["accuracy"] * len(answers.ids))
        images += len(answers.ids)
    return {
        "images": images,
        "accuracy": right / images,
        "accuracy_interval_95": wilson_interval(right, images),
    }
