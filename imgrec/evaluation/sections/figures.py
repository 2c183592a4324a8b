"""Every figure of the test images with its interval: a section of the report."""

from collections.abc import Mapping
from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.tables import OPEN_ROWS
from imgrec.metrics.figure import Figure, Measures
from imgrec.metrics.wording import percent
from imgrec.phrases import Phrase

_SHARES = ("accuracy", "precision", "recall", "f1", "exact_match", "hamming_loss", "top_")
"""How names of figures begin that are told in per cent."""


def figures(given: Evaluated) -> Section | None:
    """The figures over all images, of each class, and the thresholds that validation images chose."""
    if given.test is None:
        return None
    task = given.task
    validation = given.validation
    tuning = None if validation is None else (task.scores(validation.outputs), validation.labels)
    found = task.measures(task.scores(given.test.outputs), given.test.labels, tuning)
    if found is None:
        return None
    data = {
        "rows": [_row(name, figure) for name, figure in found.overall.items()],
        "classes": _classes(found),
        "heads": [
            Phrase("Precision"),
            Phrase("Recall"),
            Phrase("F1"),
            Phrase("AUC"),
            Phrase("Average precision"),
        ],
        "thresholds": _thresholds(found),
        "images": found.images,
        "draws": found.draws,
        "open_rows": OPEN_ROWS,
    }
    title = Phrase("All figures, with 95 % intervals")
    return Section(title, "figures.html.j2", data, {"figures": found.record()}, link=Phrase("Figures"))


def told(name: str, value: float) -> str:
    """Return a figure's value as text: a share in per cent, others with three digits behind the point."""
    shares = name.startswith(_SHARES) or name == "balanced_accuracy"
    return percent(value) if shares else f"{value:.3f}"


def interval_of(name: str, figure: Figure) -> str:
    """Return `91.2 % to 93.0 %`, or why there is no interval."""
    if figure.interval_95 is None:
        return figure.gap.phrase if figure.gap else ""
    low, high = (told(name, end) for end in figure.interval_95)
    return Phrase("{low} to {high}", low=low, high=high)


NAMES = {
    "accuracy": Phrase("Accuracy"),
    "top_5_accuracy": Phrase("Top-5 accuracy"),
    "balanced_accuracy": Phrase("Balanced accuracy"),
    "precision_macro": Phrase("Precision, mean over classes"),
    "recall_macro": Phrase("Recall, mean over classes"),
    "f1_macro": Phrase("F1, mean over classes"),
    "precision_weighted": Phrase("Precision, weighted by class size"),
    "recall_weighted": Phrase("Recall, weighted by class size"),
    "f1_weighted": Phrase("F1, weighted by class size"),
    "precision_micro": Phrase("Precision, over all decisions"),
    "recall_micro": Phrase("Recall, over all decisions"),
    "f1_micro": Phrase("F1, over all decisions"),
    "f1_micro_tuned": Phrase("F1, over all decisions, at tuned thresholds"),
    "f1_macro_tuned": Phrase("F1, mean over classes, at tuned thresholds"),
    "cohen_kappa": Phrase("Cohen's kappa"),
    "matthews": Phrase("Matthews correlation"),
    "auc_macro": Phrase("AUC, one class against the others, mean"),
    "average_precision_macro": Phrase("Average precision, mean over classes (mAP)"),
    "log_loss": Phrase("Log loss"),
    "brier": Phrase("Brier score"),
    "exact_match": Phrase("Exact match"),
    "hamming_loss": Phrase("Wrong decisions (Hamming loss)"),
}
"""What figures are called on the page."""
_METHODS = {"Wilson": Phrase("Wilson"), "bootstrap": Phrase("drawing"), None: ""}


def _row(name: str, figure: Figure) -> Mapping[str, Any]:
    return {
        "name": NAMES[name],
        "value": "–" if figure.value is None else told(name, figure.value),
        "interval": interval_of(name, figure),
        "method": _METHODS[figure.method],
        "known": figure.interval_95 is not None,
    }


def _classes(found: Measures) -> list[Mapping[str, Any]]:
    """Return a row a class: its name, its images, and each figure with its interval."""
    rows: list[Mapping[str, Any]] = []
    for label, support, held in zip(found.labels, found.support, found.classes, strict=True):
        cells = [
            ("–" if figure.value is None else told(name, figure.value), interval_of(name, figure))
            for name, figure in held.items()
        ]
        rows.append({"label": label, "support": support, "cells": cells})
    return rows


def _thresholds(found: Measures) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for each in found.thresholds:
        low, high = each.interval_95 or (0.0, 1.0)
        width = Phrase("{low} to {high}", low=f"{low:.2f}", high=f"{high:.2f}")
        told = each.gap.phrase if each.gap else width
        rows.append({"label": each.label, "used": f"{each.used:.2f}", "interval": told})
    return rows
