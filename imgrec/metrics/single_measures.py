"""Every figure of single-label answers, with its interval: values by scikit-learn, intervals by drawing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    brier_score_loss,
    cohen_kappa_score,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from imgrec.metrics import bootstrap
from imgrec.metrics.answers import check_answers
from imgrec.metrics.classwise import areas_of, macro_areas, rows_of
from imgrec.metrics.counted import Counts, count_labels, kappa, matthews
from imgrec.metrics.figure import Figure, Gap, Measures, drawn, few_answers, few_of, mean, share
from imgrec.metrics.single_label import ranks

_MACRO = ("precision", "recall", "f1")


def measure(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    classes: Sequence[str],
) -> Measures:
    """Return every figure of answers to single-label images, with its 95 % interval or why there is none.

    Shares of images (accuracy, top-k, recall and precision of a class) have Wilson's interval, all others
    that of `bootstrap.interval`. Means over classes are over those that have images. `log_loss` takes
    probabilities of at least the rounding of their type, as scikit-learn's; `brier` is the squared distance
    from the truth, summed over the classes (0…2; of two classes halved, 0…1), as scikit-learn's.

    Args:
        probabilities: `[N, C]`; the highest is the answer, of equal ones the first.
        labels: integers `[N]` in 0…C-1.
        classes: C names.

    Raises:
        InputError: no images, shapes that do not fit, a label outside the classes, or NaN.
    """
    check_answers(probabilities, labels, classes)
    images, size = probabilities.shape
    weights = bootstrap.draws(images, size)
    predicted = probabilities.argmax(axis=1)
    counts = count_labels(labels, predicted, size, weights)
    areas = areas_of(probabilities, labels[:, None] == np.arange(size), weights)
    support = np.bincount(labels, minlength=size)
    overall = {
        **_shares(probabilities, labels, counts, weights),
        **_counted(labels, predicted, counts, support),
        **macro_areas(areas, support, images),
        **_losses(probabilities, labels, weights),
    }
    whole = count_labels(labels, predicted, size, np.ones((images, 1), np.float32))
    f1 = precision_recall_fscore_support(labels, predicted, labels=np.arange(size), zero_division=0)[2]
    rows = [row | area for row, area in zip(rows_of(counts, whole, f1, images), areas.figures, strict=True)]
    return Measures(overall, rows, list(classes), support.tolist(), images, weights.shape[1])


def _shares(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    counts: Counts,
    weights: NDArray[np.floating],
) -> dict[str, Figure]:
    images, size = probabilities.shape
    place = ranks(probabilities, labels)
    held = {"accuracy": share(int((place == 0).sum()), images, counts.right.sum(axis=0) / images)}
    if size > 5:
        first = place < 5
        held["top_5_accuracy"] = share(int(first.sum()), images, bootstrap.means(first, weights))
    return held


def _counted(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], counts: Counts, support: NDArray[np.integer]
) -> dict[str, Figure]:
    """Return the figures of right and wrong answers."""
    images, there = len(labels), np.flatnonzero(support)
    enough = few_answers(int((labels == predicted).sum()), images)
    gap = few_of(support, images) or enough
    macro = precision_recall_fscore_support(
        labels, predicted, labels=there, average="macro", zero_division=0
    )[:3]
    weighted = precision_recall_fscore_support(
        labels, predicted, labels=there, average="weighted", zero_division=0
    )[:3]
    figures = {"balanced_accuracy": drawn(macro[1], mean(counts.recall), images, gap=gap)}
    for name, value in zip(_MACRO, macro, strict=True):
        figures[f"{name}_macro"] = drawn(value, mean(getattr(counts, name)), images, gap=gap)
    for name, value in zip(_MACRO, weighted, strict=True):
        rows = np.nan_to_num(getattr(counts, name))
        samples = (rows * counts.support).sum(axis=0) / images
        figures[f"{name}_weighted"] = drawn(value, samples, images, gap=enough)
    if len(there) < 2:
        return figures | dict.fromkeys(("cohen_kappa", "matthews"), Figure(None, gap=Gap("one class")))
    agreement = cohen_kappa_score(labels, predicted), matthews_corrcoef(labels, predicted)
    samples = kappa(counts), matthews(counts)
    for name, value, column in zip(("cohen_kappa", "matthews"), agreement, samples, strict=True):
        figures[name] = drawn(value, column, images, (-1.0, 1.0), enough)
    return figures


def _losses(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], weights: NDArray[np.floating]
) -> dict[str, Figure]:
    """Return log loss and Brier score."""
    images, size = probabilities.shape
    gap = few_answers(int((probabilities.argmax(axis=1) == labels).sum()), images)
    sums = probabilities / probabilities.sum(axis=1, keepdims=True)
    own = sums[np.arange(images), labels].astype(np.float64)
    floor = np.finfo(probabilities.dtype).eps
    surprise = -np.log(np.clip(own, floor, 1 - floor))
    truth = np.eye(size, dtype=bool)[labels]
    halved = 2 if size == 2 else 1
    distance = ((sums.astype(np.float64) - truth) ** 2).sum(axis=1) / halved
    every = np.arange(size)
    values = log_loss(labels, sums, labels=every), brier_score_loss(labels, _of(sums), labels=every)
    return {
        "log_loss": drawn(values[0], bootstrap.means(surprise, weights), images, (0.0, np.inf), gap),
        "brier": drawn(values[1], bootstrap.means(distance, weights), images, (0.0, 2.0 / halved), gap),
    }


def _of(probabilities: NDArray[np.floating]) -> Any:
    """Return them as scikit-learn's Brier score wants them: of two classes the second's."""
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
