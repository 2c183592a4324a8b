"""Every figure of the test images with its interval: a section of the report."""

from collections.abc import Mapping
from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.language import Language
from imgrec.evaluation.tables import OPEN_ROWS
from imgrec.metrics.figure import Figure, Gap, Measures
from imgrec.metrics.wording import number, percent

_SHARES = ("accuracy", "precision", "recall", "f1", "exact_match", "hamming_loss", "top_")
"""How names of figures begin that are told in per cent."""


def figures(given: Evaluated) -> Section | None:
    """The figures over all images, of each class, and the thresholds that validation images chose."""
    if given.test is None:
        return None
    task, _ = given.task, given.language
    validation = given.validation
    tuning = None if validation is None else (task.scores(validation.outputs), validation.labels)
    found = task.measures(task.scores(given.test.outputs), given.test.labels, tuning)
    if found is None:
        return None
    data = {
        "rows": [_row(name, figure, _) for name, figure in found.overall.items()],
        "classes": _classes(found, _),
        "heads": [_("Precision"), _("Recall"), _("F1"), _("AUC"), _("Average precision")],
        "thresholds": _thresholds(found, _),
        "images": found.images,
        "draws": found.draws,
        "open_rows": OPEN_ROWS,
    }
    title = _("All figures, with 95 % intervals")
    return Section(title, "figures.html.j2", data, {"figures": found.record()}, link=_("Figures"))


def told(name: str, value: float) -> str:
    """Return a figure's value as text: a share in per cent, others with three digits behind the point."""
    shares = name.startswith(_SHARES) or name == "balanced_accuracy"
    return percent(value) if shares else f"{value:.3f}"


def interval_of(name: str, figure: Figure, language: Language) -> str:
    """Return `91.2 % to 93.0 %`, or why there is no interval."""
    if figure.interval_95 is None:
        return said(figure.gap, language) if figure.gap else ""
    low, high = (told(name, end) for end in figure.interval_95)
    _ = language
    return _("{low} to {high}", low=low, high=high)


def said(gap: Gap, language: Language) -> str:
    """Return a gap in words of the page's language; the sentences of `metrics.figure.REASONS`."""
    _, n = language, gap.n
    words = {
        "no images": _("no image of this class"),
        "only such images": _("every image is of this class"),
        "never named": _("no answer names this class"),
        "one class": _("the images are of one class only"),
        "few images": _("{n} images: too few for an interval", n=n),
        "small class": _("a class has {n} images: too few for an interval", n=n),
        "few wrong": _("{n} wrong answers: too few for an interval", n=n),
        "few right": _("{n} right answers: too few for an interval", n=n),
        "no spread": _("no two draws of the images differ: no interval"),
        "not tuned": _("no validation answers to tune a threshold on"),
    }
    return words[gap.reason]


def name_of(key: str, language: Language) -> str:
    """Return what a figure is called on the page."""
    _ = language
    names = {
        "accuracy": _("Accuracy"),
        "top_5_accuracy": _("Top-5 accuracy"),
        "balanced_accuracy": _("Balanced accuracy"),
        "precision_macro": _("Precision, mean over classes"),
        "recall_macro": _("Recall, mean over classes"),
        "f1_macro": _("F1, mean over classes"),
        "precision_weighted": _("Precision, weighted by class size"),
        "recall_weighted": _("Recall, weighted by class size"),
        "f1_weighted": _("F1, weighted by class size"),
        "precision_micro": _("Precision, over all decisions"),
        "recall_micro": _("Recall, over all decisions"),
        "f1_micro": _("F1, over all decisions"),
        "f1_micro_tuned": _("F1, over all decisions, at tuned thresholds"),
        "f1_macro_tuned": _("F1, mean over classes, at tuned thresholds"),
        "cohen_kappa": _("Cohen's kappa"),
        "matthews": _("Matthews correlation"),
        "auc_macro": _("AUC, one class against the others, mean"),
        "average_precision_macro": _("Average precision, mean over classes (mAP)"),
        "log_loss": _("Log loss"),
        "brier": _("Brier score"),
        "exact_match": _("Exact match"),
        "hamming_loss": _("Wrong decisions (Hamming loss)"),
    }
    return names[key]


def _row(name: str, figure: Figure, language: Language) -> Mapping[str, Any]:
    _ = language
    value = "–" if figure.value is None else told(name, figure.value)
    method = {"Wilson": _("Wilson"), "bootstrap": _("bootstrap")}.get(str(figure.method), "")
    return {
        "name": name_of(name, language),
        "value": value,
        "interval": interval_of(name, figure, language),
        "method": method,
        "known": figure.interval_95 is not None,
    }


def _classes(found: Measures, language: Language) -> list[Mapping[str, Any]]:
    """Return a row a class: its name, its images, and each figure with its interval."""
    rows: list[Mapping[str, Any]] = []
    for label, support, held in zip(found.labels, found.support, found.classes, strict=True):
        cells = [
            ("–" if figure.value is None else told(name, figure.value), interval_of(name, figure, language))
            for name, figure in held.items()
        ]
        rows.append({"label": label, "support": support, "cells": cells})
    return rows


def _thresholds(found: Measures, language: Language) -> list[Mapping[str, Any]]:
    _ = language
    return [
        {
            "label": each.label,
            "used": number(each.used),
            "interval": said(each.gap, language)
            if each.gap
            else _("{low} to {high}", low=f"{low:.2f}", high=f"{high:.2f}"),
        }
        for each in found.thresholds
        for low, high in [each.interval_95 or (0.5, 0.5)]
    ]
