"""Several pictures of one object answered as one: a section of the report."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.objects import numbered, objects_of
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.stored import Stored
from imgrec.metrics import views as fusing
from imgrec.metrics.fusing import nll, of_truth
from imgrec.metrics.intervals import wilson_interval
from imgrec.phrases import Phrase
from imgrec.tasks.task import Task


def objects(given: Evaluated) -> Section | None:
    """What the objects are recognised by all their pictures, beside what a picture is by itself."""
    held = objects_of(given.split) if given.split is not None else None
    if given.test is None or held is None or len(set(held)) == len(held):
        return None
    fusion, costs = _chosen(given)
    names, numbers = numbered(held)
    rows = {each: _figures(given.task, given.test, numbers, each) for each in fusing.FUSIONS}
    scores = given.task.scores(given.test.outputs)
    alone = given.task.right(scores, given.test.labels)
    json: dict[str, Any] = {
        "count": len(names),
        "pictures": len(held),
        "fusion": fusion,
        "chosen_by_validation": bool(costs),
        "validation_cross_entropy": costs,
        "per_object": rows[fusion],
        "per_picture": {
            "right": float(alone.mean()),
            "interval_95": wilson_interval(int(alone.sum()), len(alone)),
        },
        "fusions": rows,
    }
    data = {**json, "chosen_before": bool(given.fusion)}
    title = Phrase("Objects, by all their pictures")
    return Section(title, "objects.html.j2", data, {"objects": json}, Phrase("Objects"))


def _chosen(given: Evaluated) -> tuple[str, dict[str, float]]:
    """Return the fusion whose cross-entropy on validation objects is lowest, and those of all.

    Without such objects, what the run had chosen by them, or mean probability.
    """
    known, held = given.validation, given.validation_objects
    if known is None or not held or len(held) != len(known.ids):
        return given.fusion or fusing.FUSIONS[0], {}
    numbers = numbered(held)[1]
    labels = fusing.labels_of(known.labels, numbers)
    costs = {each: nll(of_truth(_fused(given.task, known, numbers, each), labels)) for each in fusing.FUSIONS}
    return min(costs, key=costs.__getitem__), costs


def _fused(task: Task, known: Stored, numbers: NDArray[np.integer], fusion: str) -> NDArray[np.float64]:
    return fusing.fuse(task.scores(known.outputs), numbers, fusion, task.activation)


def _figures(task: Task, known: Stored, numbers: NDArray[np.integer], fusion: str) -> dict[str, Any]:
    """Return what share of objects is right, its interval, and the cross-entropy."""
    fused, labels = _fused(task, known, numbers, fusion), fusing.labels_of(known.labels, numbers)
    right = task.right(fused, labels)
    return {
        "right": float(right.mean()),
        "interval_95": wilson_interval(int(right.sum()), len(right)),
        "cross_entropy": nll(of_truth(fused, labels)),
    }
