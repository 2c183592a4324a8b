"""Figures of single-label answers: accuracy and its uncertainty, per class, calibration, mistakes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from imgrec.metrics.answers import (
    GROUPS,
    NOTEWORTHY,
    Mistake,
    check_answers,
    class_rows,
    frequency_groups,
    macro,
    printable,
    ratio,
    softmax,
)
from imgrec.metrics.intervals import wilson_interval

CALIBRATION_BINS = 15
"""Equal-width confidence bins of the calibration error, as in Guo et al., 2017 (arXiv 1706.04599)."""


def summarize(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    classes: Sequence[str],
    split: str = "test",
    train_counts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return every figure of one split, ready for JSON.

    A class that has no image in the split has no recall and no F1 (`None`) and stays out of the
    macro averages; a class that is never predicted has precision 0. `confusion` is what the function of
    that name returns. Of two classes there is also `auc`
    (`None` where the split lacks one of them). Of equal logits the lower class
    index wins, in accuracy, top-5 and confusion matrix alike.

    Args:
        logits: [N, C], any finite values.
        labels: integers [N] in 0…C-1.
        classes: the C class names.
        split: name of the split the images are from; it is stored beside the figures.
        train_counts: training images of each class, [C]. Where they are imbalanced, there is also what
            `by_frequency` returns.

    Raises:
        InputError: no images, shapes that do not fit, a label outside the classes, or logits that
            are not finite (a training that diverged).
    """
    check_answers(logits, labels, classes)
    count, size = logits.shape
    predicted = logits.argmax(axis=1)
    place = ranks(logits, labels)
    correct = int((place == 0).sum())
    probabilities = softmax(logits)
    top = min(5, size)
    figures = precision_recall_fscore_support(labels, predicted, labels=np.arange(size), zero_division=0)
    rows = class_rows(classes, figures)
    return {
        "split": split,
        "images": count,
        "classes": list(classes),
        "accuracy": correct / count,
        "accuracy_interval_95": wilson_interval(correct, count),
        "top_k": top,
        "top_k_accuracy": float((place < top).mean()),
        **macro(rows),
        **({"auc": auc(logits, labels)} if size == 2 else {}),
        "cross_entropy": _cross_entropy(logits, labels),
        "expected_calibration_error": calibration_error(probabilities, labels),
        **(by_frequency(rows, train_counts) if train_counts is not None else {}),
        "per_class": rows,
        "confusion": confusion(labels, predicted),
    }


def confusion(labels: NDArray[np.integer], predicted: NDArray[np.integer]) -> list[list[int]]:
    """Return the confusion matrix without zeros, in its order: `[true class, predicted class, images]`."""
    pairs, counts = np.unique(np.stack([labels, predicted], axis=1), axis=0, return_counts=True)
    return np.column_stack([pairs, counts]).tolist()


def by_frequency(rows: Sequence[dict[str, Any]], train_counts: Sequence[int]) -> dict[str, Any]:
    """Return the accuracy of classes with many, some and few training images; empty if they are even.

    `balanced_accuracy` is the mean of the classes' recalls; `by_frequency` has for head, medium and tail
    (see `class_counts.frequency_groups`) that mean over their classes (`None` where no class has an image
    in the split), their names, and the fewest and most training images of one of them.

    Args:
        rows: `per_class` of `summarize`.
        train_counts: training images of each class.
    """
    if ratio(train_counts) < NOTEWORTHY:
        return {}
    spot = frequency_groups(train_counts)
    groups = []
    for number, name in enumerate(GROUPS):
        members = [index for index, group in enumerate(spot) if group == number]
        if not members:
            continue
        counts = [int(train_counts[index]) for index in members]
        groups.append(
            {
                "group": name,
                "accuracy": _mean_recall([rows[index] for index in members]),
                "images": sum(rows[index]["support"] for index in members),
                "classes": [rows[index]["label"] for index in members],
                "fewest_training_images": min(counts),
                "most_training_images": max(counts),
            }
        )
    return {"balanced_accuracy": _mean_recall(rows), "by_frequency": groups}


def _mean_recall(rows: Sequence[dict[str, Any]]) -> float | None:
    recalls = [row["recall"] for row in rows if row["support"]]
    return float(np.mean(recalls)) if recalls else None


def auc(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float | None:
    """Return the area under the ROC curve of two classes, None where `labels` holds only one of them.

    The share of pairs, one image of each class, that the difference of the `logits` [N, 2] puts in the
    right order; the same whichever class is called positive. A tie counts half.
    """
    if not 0 < np.count_nonzero(labels) < len(labels):
        return None
    return float(roc_auc_score(labels, logits[:, 1].astype(np.float64) - logits[:, 0]))


def calibration_error(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int = CALIBRATION_BINS
) -> float:
    """Return the expected calibration error of `probabilities` [N, C]: 0 is perfect, 1 the worst.

    The mean distance between how sure the model is and how often it is right, over `bins`
    equal-width bins `(low, high]` of the highest probability, weighted by the images in each.
    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017 (arXiv 1706.04599).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    spot = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(spot, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def confident_mistakes(
    ids: Sequence[str],
    labels: NDArray[np.integer],
    logits: NDArray[np.floating],
    classes: Sequence[str],
    count: int = 24,
) -> list[Mistake]:
    """Return up to `count` wrong answers, the surest first; equally sure ones in the order given.

    Raises:
        InputError: as `summarize`, or `ids` of another length.
    """
    check_answers(logits, labels, classes, ids)
    probabilities = softmax(logits)
    predicted = logits.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:count]
    return [
        Mistake(
            index=int(i),
            id=printable(ids[i]),
            label=classes[labels[i]],
            predicted=classes[predicted[i]],
            probability=float(probabilities[i, predicted[i]]),
            label_probability=float(probabilities[i, labels[i]]),
        )
        for i in surest
    ]


def predictions(
    ids: Sequence[str], labels: NDArray[np.integer], logits: NDArray[np.floating], classes: Sequence[str]
) -> list[list[Any]]:
    """Return a header and one row an image: id, label, predicted, correct (0/1), probability of both.

    Raises:
        InputError: as `summarize`, or `ids` of another length.
    """
    check_answers(logits, labels, classes, ids)
    probabilities = softmax(logits)
    predicted = logits.argmax(axis=1)
    rows: list[list[Any]] = [["id", "label", "predicted", "correct", "probability", "label_probability"]]
    for name, label, guess, row in zip(ids, labels, predicted, probabilities, strict=True):
        shares = f"{row[guess]:.6f}", f"{row[label]:.6f}"
        rows.append([printable(name), classes[label], classes[guess], int(guess == label), *shares])
    return rows


def ranks(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return how many classes stand before the true one, [N]; ties go to the lower index, as in argmax."""
    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < np.asarray(labels)[:, None]
    return ((logits > own) | ((logits == own) & before)).sum(axis=1)


def _cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the mean negative log-likelihood in nats; exact where a probability underflows to 0."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1))
    return float((log_total - shifted[np.arange(len(labels)), labels]).mean())
