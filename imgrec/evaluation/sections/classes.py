"""What each class is recognised by: a section of the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.tables import OPEN_ROWS
from imgrec.phrases import Phrase

_MEANS = {
    "average_precision": (Phrase("Average precision"), "mean_average_precision"),
    "precision": (Phrase("Precision"), "precision_macro"),
    "recall": (Phrase("Recall"), "recall_macro"),
}


def classes(given: Evaluated) -> Section | None:
    """A row a class with its F1 and what else `per_class` has; and what head and tail of a training have."""
    figures = given.figures
    rows = figures.get("per_class")
    if not rows:
        return None
    columns = {key: column for key, column in _MEANS.items() if key in rows[0]}
    data = {
        "rows": _worst_first(rows),
        "missed": [row["label"] for row in rows if row["recall"] == 0],
        "columns": [(key, name, figures[mean]) for key, (name, mean) in columns.items()],
        "f1_macro": figures["f1_macro"],
        "images": figures["images"],
        "groups": figures.get("by_frequency", ()),
        "open_rows": OPEN_ROWS,
    }
    return Section(Phrase("Classes, weakest first"), "classes.html.j2", data, link=Phrase("Classes"))


def _worst_first(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the classes by rising F1, those without images last; marks: `missed` (0 %), `weak`."""
    known = sorted((row for row in rows if row["support"]), key=lambda row: row["f1"])
    weak = min(3, len(known) // 3)
    marks = [
        "missed" if row["recall"] == 0 else "weak" if index < weak and row["f1"] < 1 else ""
        for index, row in enumerate(known)
    ]
    ordered = [{**row, "mark": mark} for row, mark in zip(known, marks, strict=True)]
    return ordered + [{**row, "mark": ""} for row in rows if not row["support"]]
