"""What an ensemble is worth beside its members, and how far these are apart: a section of the report."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.metrics import fusing
from imgrec.metrics.answers import sigmoid, softmax
from imgrec.metrics.fusing import Spread
from imgrec.metrics.paired import Paired, from_answers
from imgrec.phrases import Phrase


def ensemble(given: Evaluated) -> Section | None:
    """A row a network beside the ensemble, the test against the best of them, and their disagreement."""
    if given.subject is None or given.split is None or given.test is None:
        return None
    from imgrec.models.ensemble import fusion

    last = fusion(given.subject.model)
    if last is None:
        return None
    outputs = member_outputs(given)
    task, labels = given.task, given.test.labels
    of = softmax if task.activation == "softmax" else sigmoid
    together, members = of(given.test.outputs), np.stack([of(each) for each in outputs])
    right = np.stack([task.right(each, labels) for each in (together, *members)])
    apart = fusing.spread(members, task.activation)
    best = int(right[1:].mean(axis=1).argmax())
    paired = from_answers(right[0], right[1 + best])
    rows = [
        {"right": float(one.mean()), "cross_entropy": fusing.nll(fusing.of_truth(p, labels))}
        for one, p in zip(right, (together, *members), strict=True)
    ]
    json = {
        "how": last.how,
        "together": rows[0],
        "members": rows[1:],
        "best": best,
        "against_best": paired.record(),
        "spread": _spread(apart, right[0]),
    }
    data = {**json, "shares": _shares(last), "verdict": _verdict(paired, best), "share": task.share}
    return Section(Phrase("Ensemble and members"), "ensemble.html.j2", data, {"ensemble": json})


def member_outputs(given: Evaluated) -> NDArray[np.float32]:
    """Return every network's own outputs for the images of the page, float32 `[K, N, outputs]`."""
    from dataclasses import replace

    from imgrec.models.ensemble import spread_out

    assert given.subject is not None and given.split is not None
    subject = replace(given.subject, model=spread_out(given.subject.model))
    return subject.answers(given.split)[1:]


def _spread(apart: Spread, right: NDArray[np.bool_]) -> dict[str, Any]:
    """Return means over all images, over right and wrong answers, and how well each tells these apart."""
    told: dict[str, Any] = {}
    for name, values in vars(apart).items():
        of = {"right": values[right], "wrong": values[~right]}
        means = {key: float(part.mean()) if len(part) else None for key, part in of.items()}
        told[name] = {"mean": float(values.mean()), **means, "auroc_of_errors": _auroc(values, ~right)}
    return told


def _auroc(values: NDArray[np.floating], wrong: NDArray[np.bool_]) -> float | None:
    """Return the probability that a wrong answer has a higher value than a right one; None without both."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong, values)) if 0 < wrong.sum() < len(wrong) else None


def _shares(last: Any) -> list[float] | None:
    """Return the weight of every network of a weighted mean; None of any other."""
    if last.how != "weighted":
        return None
    values = last.get_weights()[0]
    return [float(share / size) for share, size in zip(values, last.groups, strict=True) for _ in range(size)]


def _verdict(paired: Paired, best: int) -> Phrase:
    """Return what the same images say of the ensemble and the best of its networks."""
    low, high = (f"{100 * end:.1f}".replace("-", "−") for end in paired.interval_95)
    values = {
        "number": best + 1,
        "points": f"{100 * paired.difference:.1f}".replace("-", "−"),
        "low": low,
        "high": high,
        "p": f"{paired.p_value:.2g}",
    }
    if paired.differs and paired.difference > 0:
        return Phrase(
            "Better than its best network, number {number}, by {points} points ({low} to {high}; p = {p}).",
            **values,
        )
    if paired.differs:
        return Phrase(
            "Worse than its best network, number {number}, by {points} points ({low} to {high}; p = {p}).",
            **values,
        )
    return Phrase(
        "No better than its best network, number {number}, as far as these images show: {points} points "
        "({low} to {high}; p = {p}).",
        **values,
    )
