"""ROC and precision-recall curves, one class against all others: a section of the report."""

from collections import Counter

import numpy as np

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import banded
from imgrec.metrics.class_curves import class_curves
from imgrec.metrics.ranking import GRID
from imgrec.phrases import Phrase

_FAINT = 20
"""Up to so many classes have lines of their own; those of more would be a smear."""


def curves(given: Evaluated) -> Section | None:
    """The mean curves over the classes with their bands, those of single classes behind them."""
    if given.test is None:
        return None
    task = given.task
    marks = task.marks(given.test.labels)
    if marks is None:
        return None
    found = class_curves(task.scores(given.test.outputs), marks)
    title, link = Phrase("ROC and precision-recall curves"), Phrase("Curves")
    gaps = Counter(() if found is None else found.gaps.values())
    data = {
        "figures": [],
        "gaps": [(gap.phrase, count) for gap, count in gaps.items()],
        "classes": len(task.classes),
        "banded": False,
        "draws": 0,
        "faint": False,
    }
    if found is None:
        return Section(title, "curves.html.j2", data, {"curves": None}, link=link)
    shown = found.roc, found.precision
    share = float(np.mean([marks[:, k].mean() for k in found.roc.classes]))
    axes = (
        (Phrase("false positive rate"), Phrase("true positive rate"), (0.0, 1.0)),
        (Phrase("recall"), Phrase("precision"), (share, share)),
    )
    data["faint"] = 1 < len(found.roc.classes) <= _FAINT
    data["figures"] = [
        banded(
            (across, up),
            GRID,
            each.mean,
            each.band_95,
            list(each.classes.values()) if data["faint"] else (),
            guess,
            given.language,
        )
        for each, (across, up, guess) in zip(shown, axes, strict=True)
    ]
    data |= {"banded": all(each.band_95 is not None for each in shown), "draws": found.draws}
    labels = tuple(task.classes)
    json = {
        "grid": GRID.round(2).tolist(),
        "draws": found.draws,
        "roc": found.roc.record(labels),
        "precision_recall": found.precision.record(labels),
        "not_drawn": {labels[k]: str(gap) for k, gap in found.gaps.items()},
    }
    return Section(title, "curves.html.j2", data, {"curves": json}, link=link)
