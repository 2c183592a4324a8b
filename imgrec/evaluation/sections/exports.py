"""The exported files, and how they stood the gate: a section of the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.phrases import Phrase


def exports(given: Evaluated) -> Section | None:
    """The exported files, and how they stood the gate."""
    if not given.exports:
        return None
    held = {"failures": list(given.failures), "excused": list(given.excused), "doubts": given.doubts}
    rows = files_of(given)
    data = {"rows": rows, "worst": _worst_layers(rows), **held, "images": given.parity_images}
    json = {"exports": {"images": given.parity_images, "files": list(given.exports), **held}}
    return Section(Phrase("Exported files"), "exports.html.j2", data, json, link=Phrase("Exports"))


_COLUMNS = (
    *("accuracy", "accuracy_interval_95", "agreement", "max_abs_difference", "kilobytes", "ms_per_image"),
    *("passed", "inventory", "layers", "departs", "note", "calibration_error"),
)
_WORST = 5
"""So many layers of each file are named, those that rounding harms most."""


def files_of(given: Evaluated) -> list[dict[str, Any]]:
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
