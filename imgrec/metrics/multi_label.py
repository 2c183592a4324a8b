"""Figures of multi-label answers: the same functions as `single_label`, from logits and 0 or 1.

A label is said of an image where its probability, by a sigmoid, is above a half.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from imgrec.data.sources.labels import SEPARATOR, worded
from imgrec.metrics.answers import (
    Mistake,
    check_answers,
    class_rows,
    macro,
    printable,
    sigmoid,
)
from imgrec.metrics.intervals import wilson_interval


def summarize(
    logits: NDArray[np.floating],
    labels: NDArray[np.floating],
    classes: Sequence[str],
    split: str = "test",
) -> dict[str, Any]:
    """Return every figure of one split, ready for JSON.

    `mean_average_precision` is the mean over classes of the area under the precision-recall curve as a step
    function (scikit-learn's `average_precision_score`); `f1_micro` counts all decisions together, `f1_macro`
    is the mean over classes; `exact_match` is the share of images of which every label is right. A class
    that has no image in the split has none of these figures (`None`) and stays out of the means; a class
    that is never said has precision 0.

    Args:
        logits: [N, C], any finite values.
        labels: [N, C], 0 or 1.
        classes: the C class names.
        split: name of the split the images are from; it is stored beside the figures.

    Raises:
        InputError: no images, shapes that do not fit, or logits that are not finite.
    """
    check_answers(logits, labels, classes)
    truth, said = labels > 0.5, logits > 0
    right = int((said == truth).all(axis=1).sum())
    figures = class_rows(classes, precision_recall_fscore_support(truth, said, zero_division=0))
    areas = [
        float(average_precision_score(truth[:, index], logits[:, index])) if row["support"] else None
        for index, row in enumerate(figures)
    ]
    rows = [
        {"label": row["label"], "average_precision": area, **row}
        for row, area in zip(figures, areas, strict=True)
    ]
    micro = precision_recall_fscore_support(truth, said, average="micro", zero_division=0)
    precisions = [area for area in areas if area is not None]
    return {
        "split": split,
        "images": len(labels),
        "classes": list(classes),
        "labels_per_image": float(truth.sum(axis=1).mean()),
        "mean_average_precision": float(np.mean(precisions)) if precisions else None,
        **{f"{key}_micro": float(v) for key, v in zip(("precision", "recall", "f1"), micro[:3], strict=True)},
        **macro(rows),
        "exact_match": right / len(labels),
        "exact_match_interval_95": wilson_interval(right, len(labels)),
        "binary_cross_entropy": _cross_entropy(logits, truth),
        "per_class": rows,
    }


def _cross_entropy(logits: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the mean negative log-likelihood of a decision, in nats."""
    signed = np.where(truth, logits, -logits).astype(np.float64)
    return float(np.logaddexp(0.0, -signed).mean())


def confident_mistakes(
    ids: Sequence[str],
    labels: NDArray[np.floating],
    logits: NDArray[np.floating],
    classes: Sequence[str],
    count: int = 24,
) -> list[Mistake]:
    """Return up to `count` images with a wrong label, the surest first; equally sure ones as given.

    Labels and what was said stand in the mistake joined by `|`, or `none`; its probabilities are those of
    the label that was decided wrong most surely: of that decision, and of the right one.

    Raises:
        InputError: as `summarize`, or `ids` of another length.
    """
    check_answers(logits, labels, classes, ids)
    truth, said = labels > 0.5, logits > 0
    margin = np.where(truth == said, -np.inf, np.abs(logits)).max(axis=1)
    wrong = np.flatnonzero(np.isfinite(margin))
    surest = wrong[np.argsort(-margin[wrong], kind="stable")][:count]
    held, named = worded(truth[surest], classes), worded(said[surest], classes)
    sureness = sigmoid(margin[surest])
    return [
        Mistake(int(index), printable(ids[index]), label or "none", guess or "none", float(p), float(1 - p))
        for index, label, guess, p in zip(surest, held, named, sureness, strict=True)
    ]


def predictions(
    ids: Sequence[str], labels: NDArray[np.floating], logits: NDArray[np.floating], classes: Sequence[str]
) -> list[list[Any]]:
    """Return a header and one row an image: id, labels, predicted, correct (0/1: all of them), probabilities.

    Labels are joined by `|`; so are the probabilities, in the order of the classes.

    Raises:
        InputError: as `summarize`, or `ids` of another length.
    """
    check_answers(logits, labels, classes, ids)
    truth, said = labels > 0.5, logits > 0
    rows: list[list[Any]] = [["id", "labels", "predicted", "correct", "probabilities"]]
    right = (truth == said).all(axis=1)
    columns = worded(truth, classes), worded(said, classes), right, sigmoid(logits)
    for name, label, guess, hit, row in zip(ids, *columns, strict=True):
        shares = SEPARATOR.join(f"{share:.6f}" for share in row)
        rows.append([printable(name), label, guess, int(hit), shares])
    return rows
