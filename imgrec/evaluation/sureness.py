"""What a run's sureness came to on images: probabilities, prediction sets, answers withheld, as figures."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.guards.documents import read_json
from imgrec.metrics import conformal, reliability, selective
from imgrec.metrics.intervals import exact_interval
from imgrec.tasks.calibration import Abstention, Calibration, Sets
from imgrec.tasks.task import Outputs, Task

FEWEST = 10
"""Fewer images have no figures of sureness: no interval of theirs would say anything."""
FEWEST_FOR_BINS = 150
"""Fewer decisions than ten a bin make no diagram, only the error with its interval."""
POINTS = 100
"""Of the risk-coverage curve that are kept."""

Record = dict[str, Any]


def judge(task: Task, outputs: Outputs, labels: np.ndarray) -> Record | None:
    """Return the figures of sureness, ready for JSON; None of a task without probabilities, or of no images.

    `before` has those of the network's own probabilities, `after` those that the run's scaling makes of them,
    which is None where it has none. Every figure stands with its 95 % interval; of fewer than `FEWEST` images
    there are none, of fewer than `FEWEST_FOR_BINS` decisions there is no diagram.

    Args:
        task: with the run's calibration.
        outputs: of the network for N images, float32 `[N, outputs]`.
        labels: of the images, as `Split.labels` has them.
    """
    if not task.activation or not len(labels):
        return None
    told: Record = {"images": len(labels)}
    if len(labels) < FEWEST:
        return told
    known = task.calibration or Calibration()
    scores = task.scores(outputs)
    told |= {"before": _sureness(task.plain, outputs, labels), "after": None}
    if known.scaling:
        plain = task.plain
        change = _losses(plain, outputs, labels) - _losses(task, outputs, labels)
        told["after"] = _sureness(task, outputs, labels)
        told["scaling"] = known.scaling.record()
        told["answers_changed"] = int((~task.same(plain.scores(outputs), scores)).sum())
        told["log_loss_saved"] = float(change.mean())
        told["log_loss_saved_interval_95"] = reliability.mean_interval(change)
    if task.labels != "class":
        return told
    told["sets"] = _sets(known.sets, scores, labels) if known.sets else None
    told["selective"] = _selective(task, known.abstention, scores, labels)
    return told


def _truth(task: Task, labels: np.ndarray) -> NDArray[np.float64]:
    return np.eye(task.outputs)[labels] if task.labels == "class" else np.asarray(labels, np.float64)


def _losses(task: Task, outputs: Outputs, labels: np.ndarray) -> NDArray[np.float64]:
    return reliability.log_losses(task.scores(outputs), _truth(task, labels), task.labels == "class")


def _sureness(task: Task, outputs: Outputs, labels: np.ndarray) -> Record:
    """Return calibration error, log loss and Brier score of a task's scores, and the diagram's bins."""
    scores = task.scores(outputs)
    decided = task.decisions(scores, labels)
    if decided is None:
        raise ValueError(f"{task.name}: has an activation and no decisions")
    sure, hit = decided
    flat, hits = sure.ravel(), hit.ravel()
    chance, most = reliability.unavoidable(flat)
    losses = _losses(task, outputs, labels)
    briers = reliability.briers(scores, _truth(task, labels), task.labels == "class")
    rows = reliability.table(flat, hits) if len(flat) >= FEWEST_FOR_BINS else []
    return {
        "calibration_error": reliability.error(flat, hits),
        "calibration_error_interval_95": reliability.interval(sure, hit),
        "calibration_error_equal_mass": reliability.error(flat, hits, mass=True),
        "calibration_error_of_perfect": chance,
        "calibration_error_of_perfect_95": most,
        "mean_sureness": float(flat.mean(dtype=np.float64)),
        "share_true": float(hits.mean()),
        "log_loss": float(losses.mean()),
        "log_loss_interval_95": reliability.mean_interval(losses),
        "brier": float(briers.mean()),
        "brier_interval_95": reliability.mean_interval(briers),
        "bins": [asdict(row) for row in rows],
    }


def _sets(sets: Sets, scores: Outputs, labels: np.ndarray) -> Record:
    """Return what share of sets holds the label, and how large they are."""
    inside, count = sets.members(scores), len(labels)
    held = inside[np.arange(count), labels]
    size = inside.sum(axis=1)
    # The sets as the theory has them, before the answer itself joins.
    bare = conformal.SCORES[sets.method](scores)[np.arange(count), labels] <= sets.threshold
    return {
        **vars(sets),
        "held": float(held.mean()),
        "held_interval_95": exact_interval(int(held.sum()), count),
        "held_without_answer": float(bare.mean()),
        "band_95": conformal.band(count, sets.images, sets.coverage),
        "mean_size": float(size.mean()),
        "mean_size_interval_95": reliability.mean_interval(size),
        "sizes": np.bincount(size, minlength=scores.shape[1] + 1)[1:].tolist(),
    }


def _selective(task: Task, rule: Abstention | None, scores: Outputs, labels: np.ndarray) -> Record:
    """Return the risk-coverage curve, the area under it, and what the run's threshold came to."""
    sure, hit = scores.max(axis=1), task.right(scores, labels)
    coverage, risk = selective.curve(sure, hit)
    kept = np.unique(np.linspace(0, len(sure) - 1, min(POINTS, len(sure))).round().astype(int))
    told: Record = {
        "area": selective.area(sure, hit),
        "curve": [[float(coverage[k]), float(risk[k])] for k in kept],
        "threshold": None,
    }
    if rule is None:
        return told
    given = ~rule(scores)
    answered, wrong = int(given.sum()), int((given & ~hit).sum())
    return {
        **told,
        **vars(rule),
        "answered": answered / len(labels),
        "answered_interval_95": exact_interval(answered, len(labels)),
        "risk": wrong / answered if answered else None,
        "risk_interval_95": exact_interval(wrong, answered) if answered else None,
    }


def lines(folder: Path) -> list[str]:
    """Return what is said of the figures in a folder's metrics.json, one line, or none."""
    told = line(read_json(folder / "metrics.json").get("calibration"))
    return [told] if told else []


def line(told: Record | None) -> str:
    """Return the figures in one line for the terminal; empty where there are none."""
    if not told or "before" not in told:
        return ""
    before, after = told["before"], told["after"]
    error = f"{100 * before['calibration_error']:.1f} %"
    if after:
        error += f", {100 * after['calibration_error']:.1f} % after scaling"
    floor = (after or before)["calibration_error_of_perfect_95"]
    parts = [f"calibration error {error} (perfect probabilities: up to {100 * floor:.1f} %)"]
    if sets := told.get("sets"):
        low, high = sets["held_interval_95"]
        parts.append(
            f"sets hold the label on {100 * sets['held']:.1f} % ({100 * low:.0f} to {100 * high:.0f}; "
            f"{100 * sets['coverage']:g} asked), {sets['mean_size']:.2f} classes"
        )
    rule = told.get("selective")
    if rule and rule["threshold"] is not None:
        risk = "none" if rule["risk"] is None else f"{100 * rule['risk']:.1f} %"
        parts.append(f"answers {100 * rule['answered']:.1f} %, of these wrong {risk}")
    return "; ".join(parts)
