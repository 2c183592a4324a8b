"""What the report of a run is made of: every evaluation by its name, in the order of the page."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import curve, data_uri, heat_map, row_shares
from imgrec.metrics.single_label import CALIBRATION_BINS
from imgrec.metrics.wording import number

_TABLE_CLASSES = 20  # up to here a confusion matrix is a table with figures, above it a heat map
_OPEN_ROWS = 25  # longer tables show this many rows, the others on request


def headline(given: Evaluated) -> Section:
    """The task's figures, the smallest file that may ship, and a warning of those that may not."""
    files = _files(given)
    tiles = given.task.tiles(given.figures)
    sized = [row for row in files if row["kilobytes"] and row["passed"]]
    if sized:
        row = min(sized, key=lambda row: row["kilobytes"])
        tiles.append(("Smallest file", f"{number(row['kilobytes'])} KB", f"{row['name']}, passed the gate"))
    failed = [row["name"] for row in files if row["passed"] is False]
    data = {"tiles": tiles, "images": given.figures["images"], "failed": failed}
    return Section("Headline figures", "headline.html.j2", data, {"test": given.figures}, link="")


_MEANS = {
    "average_precision": ("Average precision", "mean_average_precision"),
    "precision": ("Precision", "precision_macro"),
    "recall": ("Recall", "recall_macro"),
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
        "columns": [(key, name, figures[mean]) for key, (name, mean) in columns.items()],
        "f1_macro": figures["f1_macro"],
        "images": figures["images"],
        "groups": figures.get("by_frequency", ()),
        "open_rows": _OPEN_ROWS,
    }
    return Section("Classes, weakest first", "classes.html.j2", data, link="Classes")


def _worst_first(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the classes by rising F1, those without images last, the worst marked."""
    known = sorted((row for row in rows if row["support"]), key=lambda row: row["f1"])
    marked = min(3, len(known) // 3)
    ordered = [{**row, "worst": index < marked and row["f1"] < 1} for index, row in enumerate(known)]
    return ordered + [{**row, "worst": False} for row in rows if not row["support"]]


def confusion(given: Evaluated) -> Section | None:
    """The confusion matrix as shaded cells or as an image, and its most frequent mistakes."""
    if "confusion" not in given.figures:
        return None
    counts, names = np.asarray(given.figures["confusion"]), given.task.classes
    shares = row_shares(counts)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:12]
    pairs = [divmod(int(index), len(names)) for index in order if wrong.flat[index]]
    frequent = [
        {"label": names[i], "predicted": names[j], "count": int(counts[i, j]), "share": float(shares[i, j])}
        for i, j in pairs
    ]
    # Shading is the square root of the share: mistakes are rare, and they are what one looks for.
    rows = [
        (names[i], [(int(counts[i, j]), float(np.sqrt(shares[i, j])), i == j) for j in range(len(names))])
        for i in range(len(names))
    ]
    small = len(names) <= _TABLE_CLASSES
    shown = {"rows": rows if small else [], "heat_map": "" if small else heat_map(counts)}
    data = {**shown, "frequent": frequent, "classes": len(names), "images": given.figures["images"]}
    return Section("What is taken for what", "confusion.html.j2", data, link="Confusion")


def mistakes(given: Evaluated) -> Section:
    """The wrong answers that tell most, with their images."""
    images = given.figures["images"]
    shown = zip(given.mistakes, given.mistake_images, strict=True)
    data = {
        "mistakes": [(mistake, data_uri(image)) for mistake, image in shown],
        "count": images - round(given.task.share_right(given.figures) * images),
        "images": images,
    }
    return Section("Most confident mistakes", "mistakes.html.j2", data, link="Mistakes")


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
        "curves": _curves(given.history, ("loss", given.task.score)),
    }
    return Section("Training", "training.html.j2", data, _validation(given))


def _validation(given: Evaluated) -> dict[str, Any]:
    if given.best_epoch is None:
        return {}
    best = given.history[given.best_epoch - 1]
    scores = {name[4:]: value for name, value in best.items() if name.startswith("val_")}
    return {"validation": {"epoch": given.best_epoch, **scores}}


def _value(text: Any) -> float | None:
    """Return a history entry as a number, None where it is empty or no number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _curves(history: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Return the SVGs of the names that the history holds."""
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
            figures.append(curve(name, indices, lines))
    return figures


def adaptation(given: Evaluated) -> Section | None:
    """What the adaptive steps are worth."""
    if given.adaptation is None:
        return None
    json = {"adaptation": given.adaptation}
    return Section("Adaptive steps, against off", "adaptation.html.j2", json, json, link="Adaptation")


def exports(given: Evaluated) -> Section | None:
    """The exported files, and how they stood the gate."""
    if not given.exports:
        return None
    data = {"rows": _files(given), "failures": given.failures, "images": given.parity_images}
    files, failures = list(given.exports), list(given.failures)
    json = {"exports": {"images": given.parity_images, "files": files, "failures": failures}}
    return Section("Exported files", "exports.html.j2", data, json, link="Exports")


_COLUMNS = ("accuracy", "agreement", "max_abs_difference", "kilobytes", "ms_per_image", "passed")


def _files(given: Evaluated) -> list[dict[str, Any]]:
    """Return the exports with every column, the verdict read from the gate's failures where one has none."""
    failed = [any(str(row["name"]) in failure for failure in given.failures) for row in given.exports]
    rows = zip(given.exports, failed, strict=True)
    return [{**dict.fromkeys(_COLUMNS), "passed": not bad, **row} for row, bad in rows]


def use(given: Evaluated) -> Section:
    """The commands that use this run: with its Keras model, and with its best shipped file."""
    folder = str(given.config.get("out", "RUN"))
    passing = [str(row["name"]) for row in _files(given) if row["passed"]]
    file = f"{folder}/exports/{passing[-1].removesuffix('.tflite')}.tflite" if passing else ""
    command = "python -m pipelines.predict photo.jpg --run"
    data = {
        "run": f"{command} {shlex.quote(folder)}",
        "file": f"{command} {shlex.quote(file)}" if file else "",
        "path": file or folder,
    }
    return Section("Use it", "use.html.j2", data)


def data(given: Evaluated) -> Section:
    """What the model learned from: facts, and the images of each split, by class where there are classes."""
    counts, names = given.data, given.task.classes
    totals = given.totals or {split: sum(each) for split, each in counts.items()}
    by_class = len(names) > 1 and all(len(each) == len(names) for each in counts.values())
    shown = {
        "facts": given.facts,
        "splits": list(counts),
        "totals": [totals[split] for split in counts],
        "rows": list(zip(names, zip(*counts.values(), strict=True), strict=True)) if by_class else [],
        "open_rows": _OPEN_ROWS,
    }
    return Section("Data", "data.html.j2", shown)


def settings(given: Evaluated) -> Section:
    """The settings and versions that made the run, and how figures were computed."""
    shown = {
        "command": given.command,
        "config": given.config,
        "versions": given.versions,
        "bins": CALIBRATION_BINS if "expected_calibration_error" in given.figures else 0,
        "interval": any(name.endswith("_interval_95") for name in given.figures),
    }
    return Section("Settings and versions", "settings.html.j2", shown, link="Settings")


EVALUATIONS: dict[str, Callable[[Evaluated], Section | None]] = {
    "headline": headline,
    "classes": classes,
    "confusion": confusion,
    "mistakes": mistakes,
    "training": training,
    "adaptation": adaptation,
    "exports": exports,
    "use": use,
    "data": data,
    "settings": settings,
}
"""Every evaluation by its name, the anchor of its section; None where it has nothing to say of a run.

One of one's own is a function, a fragment in templates/sections/ and an entry here.
"""
