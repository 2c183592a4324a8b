"""What the report of a run is made of: every evaluation by its name, in the order of the page."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imgrec.evaluation.confusion import confusion
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import curve, data_uri
from imgrec.metrics.single_label import CALIBRATION_BINS
from imgrec.metrics.wording import number, percent
from imgrec.tasks.task import Tile

_OPEN_ROWS = 25  # longer tables show this many rows, the others on request


def headline(given: Evaluated) -> Section:
    """The task's figures beside the baselines', the smallest file that may ship, and a warning of others."""
    files = _files(given)
    first, *rest = given.task.tiles(given.figures)
    tiles = [first, *_baselines(given), *rest]
    sized = [row for row in files if row["kilobytes"] and row["passed"]]
    if sized:
        row = min(sized, key=lambda row: row["kilobytes"])
        tiles.append(("Smallest file", f"{number(row['kilobytes'])} KB", f"{row['name']}, passed the gate"))
    failed = [row["name"] for row in files if row["passed"] is False]
    data = {
        "tiles": tiles,
        "images": given.figures["images"],
        "split": given.figures.get("split", "test"),
        "failed": failed,
        "standing": given.standing,
    }
    json = {"test": given.figures, **(given.standing.record() if given.standing else {})}
    return Section("Headline figures", "headline.html.j2", data, json, link="")


def _baselines(given: Evaluated) -> list[Tile]:
    """Return a tile for each baseline: its name, its accuracy, and what the model is beside it."""
    if given.standing is None:
        return []
    words = {
        "better": "the model is better",
        "no better": "the model is no better",
        "worse": "the model is worse",
    }
    of = "" if given.task.share == "accuracy" else f"{given.task.share}: "
    return [
        (each.name[:1].upper() + each.name[1:], percent(each.accuracy), of + words[each.verdict])
        for each in given.standing.baselines.values()
    ]


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
        "missed": [row["label"] for row in rows if row["recall"] == 0],
        "columns": [(key, name, figures[mean]) for key, (name, mean) in columns.items()],
        "f1_macro": figures["f1_macro"],
        "images": figures["images"],
        "groups": figures.get("by_frequency", ()),
        "open_rows": _OPEN_ROWS,
    }
    return Section("Classes, weakest first", "classes.html.j2", data, link="Classes")


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
    retried = {"retried": {"learning_rate": given.retried}} if given.retried else {}
    return {"validation": {"epoch": given.best_epoch, **scores}, **retried}


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
    held = {"failures": list(given.failures), "excused": list(given.excused), "doubts": given.doubts}
    rows = _files(given)
    data = {"rows": rows, "worst": _worst_layers(rows), **held, "images": given.parity_images}
    json = {"exports": {"images": given.parity_images, "files": list(given.exports), **held}}
    return Section("Exported files", "exports.html.j2", data, json, link="Exports")


_COLUMNS = (
    *("accuracy", "accuracy_interval_95", "agreement", "max_abs_difference", "kilobytes", "ms_per_image"),
    *("passed", "inventory", "layers", "departs", "note"),
)
_WORST = 5
"""So many layers of each file are named, those that rounding harms most."""


def _files(given: Evaluated) -> list[dict[str, Any]]:
    """Return the exports with every column, the verdict read from the gate's sentences where one has none."""
    rows = []
    for row in given.exports:
        failed, excused = (
            any(each.startswith(f"{row['name']}:") for each in told)
            for told in (given.failures, given.excused)
        )
        passed = None if excused else not failed
        rows.append({**dict.fromkeys(_COLUMNS), "passed": passed, **row})
    return rows


def _worst_layers(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return each file that rounds with its worst layers: by their own error, or what has piled up."""
    told = []
    for row in rows:
        layers = row["layers"] or ()
        key = "own_db" if all(layer["own_db"] is not None for layer in layers) else "db"
        ranked = sorted(layers, key=lambda layer: layer[key])[:_WORST]
        if ranked:
            told.append((row["name"], ranked))
    return told


def use(given: Evaluated) -> Section:
    """The commands that use this run: with its Keras model, and with its best shipped file."""
    folder = str(given.config.get("out", "RUN"))
    passing = [str(row["name"]) for row in _files(given) if row["passed"]]
    files = [name if Path(name).suffix else f"{name}.tflite" for name in passing]
    # The last is the most compressed; of several formats, the one that every installation opens.
    last = max(range(len(files)), key=lambda place: (files[place].endswith(".tflite"), place), default=0)
    file = f"{folder}/exports/{files[last]}" if files else ""
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
