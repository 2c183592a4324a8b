"""What the figures of every task share: answers checked, as probabilities, as rows of classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError

NOTEWORTHY = 2.0
"""Images of the largest class for one of the smallest, from which on a set is called imbalanced."""
GROUPS = ("head", "medium", "tail")


@dataclass(frozen=True)
class Mistake:
    """One wrongly recognised image: where it stands, what it is, what the model said and how surely."""

    index: int
    id: str
    label: str
    predicted: str
    probability: float | None
    label_probability: float | None


def printable(name: str) -> str:
    """Return `name` fit for UTF-8: bytes of a file name that are no text become `\\udc…` escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the probabilities of `logits` [N, C], computed in float64 without overflow."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the probability of each label, computed in float64 without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))


def class_rows(classes: Sequence[str], figures: Sequence[NDArray[Any]]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and support of each class; without images it has no recall and no F1.

    Args:
        classes: C names.
        figures: these four, `[C]` each, as scikit-learn's `precision_recall_fscore_support` returns them.
    """
    return [
        {
            "label": name,
            "precision": float(precision),
            "recall": float(recall) if support else None,
            "f1": float(f1) if support else None,
            "support": int(support),
        }
        for name, precision, recall, f1, support in zip(classes, *figures, strict=True)
    ]


def macro(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Return the means of `class_rows` over the classes that have images; None where none has."""
    present = [row for row in rows if row["support"]]
    return {
        f"{key}_macro": float(np.mean([row[key] for row in present])) if present else None
        for key in ("precision", "recall", "f1")
    }


def check_answers(
    logits: NDArray[np.floating],
    labels: NDArray[Any],
    classes: Sequence[str],
    ids: Sequence[str] | None = None,
) -> None:
    """Raise InputError unless the four describe the same images and classes."""
    if logits.ndim != 2 or logits.shape != (len(labels), len(classes)) or not len(labels):
        raise InputError(
            f"logits of shape {logits.shape} for {len(labels)} labels and {len(classes)} classes: "
            "expected [images, classes] with at least one image"
        )
    if ids is not None and len(ids) != len(labels):
        raise InputError(f"{len(ids)} ids for {len(labels)} labels: expected one id an image")
    if np.min(labels) < 0 or np.max(labels) >= len(classes):
        raise InputError(
            f"labels from {np.min(labels)} to {np.max(labels)}: expected 0 to {len(classes) - 1}, "
            f"one for each of the {len(classes)} classes"
        )
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise InputError(
            f"the model's answers for {broken} of {len(labels)} images are not finite numbers: "
            "the training diverged; lower --learning-rate or use --precision float32"
        )


def ratio(counts: Sequence[int] | np.ndarray) -> float:
    """Return images of the largest class for one of the smallest (an empty class counts as one image)."""
    return float(max(counts) / max(min(counts), 1))


def frequency_groups(counts: Sequence[int] | np.ndarray) -> list[int]:
    """Return the position in `GROUPS` of each class: thirds of the range of counts on a logarithmic scale.

    Relative to the set, so that they mean something at any size; published bounds (more than 100 images, 20
    to 100, fewer; Liu et al., 2019, arXiv 1904.05160) are those of one benchmark. A class on a bound
    belongs to the larger ones.
    """
    numbers = np.maximum(np.asarray(counts, np.float64), 1.0)
    depth = np.log(numbers.max() / numbers) / max(np.log(numbers.max() / numbers.min()), 1e-12)
    # A little more than a third: what stands on a bound must not depend on rounding.
    return np.minimum((depth * 3 - 1e-9).clip(0).astype(int), 2).tolist()
