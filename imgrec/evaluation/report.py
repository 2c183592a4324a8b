"""The report of a run: one HTML file that needs nothing else to be read, now or in ten years."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.evaluation.figures import curve, data_uri, heat_map, row_shares
from imgrec.evaluation.page import render
from imgrec.files import write_text
from imgrec.metrics.single_label import CALIBRATION_BINS, Mistake
from imgrec.metrics.wording import number, percent

_TABLE_CLASSES = 20  # up to here a confusion matrix is a table with figures, above it a heat map
_OPEN_ROWS = 25  # longer tables show this many rows, the others on request


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the report of one run is made of.

    title: heading of the page, such as the name of the run folder.
    metrics: what `evaluation.metrics.summarize` returns, or that of `label_sets`.
    history: one mapping an epoch: epoch, loss, accuracy, val_loss, val_accuracy and any others, as
        numbers or as read from history.csv.
    config: flat settings, `Config.flat()`; its `out` names the run folder in the commands shown.
    exports: one mapping a file: name, accuracy, agreement (0…1), max_abs_difference, kilobytes,
        ms_per_image, passed (None: not held against the gate); absent ones show as a dash, and an
        absent `passed` is whether no failure names the file.
    mistakes: `confident_mistakes`; mistake_images: their images, uint8 [H, W, 1 or 3].
    data: split → images of each class, in the order of `metrics["classes"]`.
    totals: split → images; by default the sum over classes.
    versions: package → version.
    failures: sentences of the parity gate, each naming its file.
    parity_images: how many test images went through every file.
    adaptation: what `evaluation.adaptation.judge` returns, and `line`, the steps; None without steps.
    facts: what else is to be said of the data, such as source and fingerprint.
    command: the command line that made the run, if known.
    """

    title: str
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    config: Mapping[str, Any]
    exports: Sequence[Mapping[str, Any]] = ()
    mistakes: Sequence[Mistake] = ()
    mistake_images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8] = ()
    data: Mapping[str, Sequence[int]]
    totals: Mapping[str, int] | None = None
    versions: Mapping[str, str]
    failures: Sequence[str] = ()
    parity_images: int | None = None
    adaptation: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


def write_report(path: Path | str, report: Report) -> None:
    """Write the report of one run to `path`, an HTML file, whole or not at all.

    Everything that comes from the user (class names, ids, settings) is escaped. The page asks for
    nothing over a network, runs no script, and follows the reader's light or dark scheme.
    """
    metrics, config = report.metrics, report.config
    rows = [_export(row, report.failures) for row in report.exports]
    shown = zip(report.mistakes, report.mistake_images, strict=True)
    page = render(
        "report.html.j2",
        title=report.title,
        model=_model_name(config),
        metrics=metrics,
        tiles=_tiles(metrics, rows),
        epochs=_epochs(report.history),
        curves=_curves(report.history),
        confusion=_confusion(metrics) if "confusion" in metrics else None,
        per_class=_worst_first(metrics["per_class"]),
        open_rows=_OPEN_ROWS,
        exports=rows,
        failures=report.failures,
        parity_images=report.parity_images,
        adaptation=report.adaptation,
        mistakes=[(mistake, data_uri(image)) for mistake, image in shown],
        mistake_count=metrics["images"] - round(_right(metrics) * metrics["images"]),
        config=config,
        data=_data(report.data, metrics["classes"], report.totals),
        facts=report.facts,
        versions=report.versions,
        command=report.command,
        usage=_usage(config, rows),
        bins=CALIBRATION_BINS,
    )
    write_text(Path(path), page)


_EXPORT_COLUMNS = ("accuracy", "agreement", "max_abs_difference", "kilobytes", "ms_per_image", "passed")


def _export(row: Mapping[str, Any], failures: Sequence[str]) -> dict[str, Any]:
    """Return a row with every column, its verdict read from the gate's failures where it has none."""
    passed = not any(str(row["name"]) in failure for failure in failures)
    return {**dict.fromkeys(_EXPORT_COLUMNS), "passed": passed, **row}


def _model_name(config: Mapping[str, Any]) -> str:
    """Return the architecture's name where the settings hold one; `auto` is none."""
    name = str(config.get("model", "auto"))
    return "The model" if name == "auto" else name


def _right(metrics: Mapping[str, Any]) -> float:
    """Return the share of images that are recognised, with all of their labels where there are several."""
    return metrics["accuracy"] if "accuracy" in metrics else metrics["exact_match"]


def _tiles(metrics: Mapping[str, Any], exports: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the headline figures as (name, value, note)."""
    tiles = _tiles_of_one(metrics) if "accuracy" in metrics else _tiles_of_several(metrics)
    sized = [row for row in exports if row.get("kilobytes") and row.get("passed")]
    if sized:
        row = min(sized, key=lambda row: row["kilobytes"])
        tiles.append(("Smallest file", f"{number(row['kilobytes'])} KB", f"{row['name']}, passed the gate"))
    return tiles


def _tiles_of_several(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    low, high = metrics["exact_match_interval_95"]
    named = {"mean_average_precision": ("mAP", "mean average precision over the classes")}
    named["f1_micro"] = ("Micro F1", "every label counts the same")
    named["f1_macro"] = ("Macro F1", "every class counts the same")
    tiles = [
        (name, "–" if metrics[key] is None else f"{metrics[key]:.3f}", note)
        for key, (name, note) in named.items()
    ]
    interval = f"every label right; 95 % interval {percent(low)} to {percent(high)}"
    tiles.append(("Exact match", percent(metrics["exact_match"]), interval))
    entropy = metrics["binary_cross_entropy"]
    return [*tiles, ("Cross-entropy", f"{entropy:.3f}", "nats a label, without smoothing")]


def _tiles_of_one(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    low, high = metrics["accuracy_interval_95"]
    tiles = [("Accuracy", percent(metrics["accuracy"]), f"95 % interval {percent(low)} to {percent(high)}")]
    if metrics.get("auc") is not None:
        tiles.append(("AUC", f"{metrics['auc']:.3f}", "area under the ROC curve"))
    if metrics["top_k"] < len(metrics["classes"]):
        tiles.append(
            (
                f"Top-{metrics['top_k']}",
                percent(metrics["top_k_accuracy"]),
                f"true class among the first {metrics['top_k']}",
            )
        )
    if metrics.get("balanced_accuracy") is not None:
        tiles.append(("Balanced accuracy", percent(metrics["balanced_accuracy"]), "mean over the classes"))
    tiles.append(("Macro F1", f"{metrics['f1_macro']:.3f}", "every class counts the same"))
    tiles.append(
        ("Calibration error", percent(metrics["expected_calibration_error"]), "sureness against hit rate")
    )
    tiles.append(("Cross-entropy", f"{metrics['cross_entropy']:.3f}", "nats an image, without smoothing"))
    return tiles


def _value(text: Any) -> float | None:
    """Return a history entry as a number, None where it is empty or no number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _epochs(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the history as columns and rows of text, without those of parts (`gradient_norm/stage1`)."""
    columns = [name for name in history[0] if "/" not in name] if history else []
    rows = []
    for entry in history:
        values = [(entry.get(name), _value(entry.get(name))) for name in columns]
        rows.append([number(text if value is None else value, 4) for text, value in values])
    return {"columns": [name.replace("_", " ") for name in columns], "rows": rows}


def _curves(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the SVGs of loss and of accuracy or F1, those that the history holds."""
    if not history:
        return []
    epochs = [_value(entry.get("epoch")) for entry in history]
    indices = [float(i + 1) if epoch is None else epoch for i, epoch in enumerate(epochs)]
    figures = []
    for name in ("loss", "accuracy", "f1"):
        lines = {
            label: [_value(entry.get(key)) for entry in history]
            for label, key in (("training", name), ("validation", f"val_{name}"))
        }
        lines = {label: line for label, line in lines.items() if any(value is not None for value in line)}
        if lines:
            figures.append(curve(name, indices, lines))
    return figures


def _confusion(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the confusion matrix as shaded cells or as an image, and its most frequent mistakes."""
    counts = np.asarray(metrics["confusion"])
    names = metrics["classes"]
    shares = row_shares(counts)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:12]
    pairs = [divmod(int(index), len(names)) for index in order if wrong.flat[index]]
    frequent = [
        {"label": names[i], "predicted": names[j], "count": int(counts[i, j]), "share": float(shares[i, j])}
        for i, j in pairs
    ]
    if len(names) > _TABLE_CLASSES:
        return {"rows": [], "heat_map": heat_map(counts), "frequent": frequent}
    # Shading is the square root of the share: mistakes are rare, and they are what one looks for.
    rows = [
        (names[i], [(int(counts[i, j]), float(np.sqrt(shares[i, j])), i == j) for j in range(len(names))])
        for i in range(len(names))
    ]
    return {"rows": rows, "heat_map": "", "frequent": frequent}


def _worst_first(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the classes by rising F1, those without images last, the worst marked."""
    known = sorted((row for row in rows if row["support"]), key=lambda row: row["f1"])
    marked = min(3, len(known) // 3)
    ordered = [{**row, "worst": index < marked and row["f1"] < 1} for index, row in enumerate(known)]
    return ordered + [{**row, "worst": False} for row in rows if not row["support"]]


def _data(
    data: Mapping[str, Sequence[int]], classes: Sequence[str], totals: Mapping[str, int] | None
) -> dict[str, Any]:
    """Return the images a split and class, and a split in all."""
    return {
        "splits": list(data),
        "totals": [totals[name] if totals else int(sum(counts)) for name, counts in data.items()],
        "rows": list(zip(classes, zip(*data.values(), strict=True), strict=True)) if data else [],
    }


def _usage(config: Mapping[str, Any], exports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the commands that use this run: with its Keras model, and with its best shipped file."""
    folder = str(config.get("out", "RUN"))
    passing = [str(row["name"]) for row in exports if row.get("passed")]
    name = passing[-1] if passing else ""
    file = f"{folder}/exports/{name.removesuffix('.tflite')}.tflite" if name else ""
    return {
        "run": f"python -m pipelines.predict photo.jpg --run {shlex.quote(folder)}",
        "file": f"python -m pipelines.predict photo.jpg --run {shlex.quote(file)}" if file else "",
        "path": file or folder,
    }
