"""How the loss and the score went: a section of the report."""

from collections.abc import Sequence
from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import curve
from imgrec.metrics.wording import number
from imgrec.phrases import Phrase


def training(given: Evaluated) -> Section | None:
    """Curves of the loss and of the task's score, and the history without parts (`gradient_norm/stage1`)."""
    if not given.history:
        return None
    # Not the first row's: an epoch may lack what others have, such as one without steps its own loss.
    columns = [name for name in dict.fromkeys(n for entry in given.history for n in entry) if "/" not in name]
    rows = []
    for entry in given.history:
        values = [(entry.get(name), _value(entry.get(name))) for name in columns]
        rows.append([number(text if value is None else value, 4) for text, value in values])
    data = {
        "columns": [name.replace("_", " ") for name in columns],
        "rows": rows,
        "curves": _curves(given, ("loss", given.task.score)),
    }
    return Section(Phrase("Training"), "training.html.j2", data, _validation(given))


def _validation(given: Evaluated) -> dict[str, Any]:
    if given.best_epoch is None:
        return {}
    best = given.history[given.best_epoch - 1]
    scores = {name[4:]: value for name, value in best.items() if name.startswith("val_")}
    retried = {"retried": {"learning_rate": given.retried}} if given.retried else {}
    return {"validation": {"epoch": given.best_epoch, **scores}, **retried}


def _value(text: Any) -> float | None:
    """Return a history entry as a number, None where it is empty or no number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _curves(given: Evaluated, names: Sequence[str]) -> list[str]:
    """Return the SVGs of the names that the history holds."""
    history = given.history
    epochs = [_value(entry.get("epoch")) for entry in history]
    indices = [float(i + 1) if epoch is None else epoch for i, epoch in enumerate(epochs)]
    figures = []
    for name in names:
        lines = {
            label: [_value(entry.get(key)) for entry in history]
            for label, key in (("training", name), ("validation", f"val_{name}"))
        }
        lines = {label: line for label, line in lines.items() if any(value is not None for value in line)}
        if lines:
            figures.append(curve(name, indices, lines, language=given.language))
    return figures
