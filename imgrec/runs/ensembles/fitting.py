"""What is fitted of an ensemble: on images that no member learned from, and judged on others than it saw."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.dataset import Source
from imgrec.errors import InputError
from imgrec.evaluation import cross_validation
from imgrec.evaluation.cross_validation import Answers
from imgrec.evaluation.subject import Subject
from imgrec.metrics import fusing
from imgrec.runs.ensembles.members import VALIDATION, Member
from imgrec.tasks.task import Task

FITTED = ("weighted", "stacking")
"""Ways that have something to fit."""


@dataclass(frozen=True)
class Known:
    """What the members say of images that they did not learn from.

    probabilities: `[G, N, C]`, a row of G for each member.
    labels: as `Split.labels`.
    origin: which images these are, in words.
    """

    probabilities: NDArray[np.floating]
    labels: NDArray[Any]
    origin: str

    def truths(self) -> NDArray[np.floating]:
        """Return what each member gave to the truth, `[G, …]` flat."""
        return fusing.of_truth(self.probabilities, self.labels).reshape(len(self.probabilities), -1)


@dataclass(frozen=True)
class Fit:
    """What was fitted.

    weights: of the fusing layer, in its order.
    told: for run.json.
    """

    weights: Sequence[NDArray[np.floating]] = ()
    told: dict[str, Any] = field(default_factory=dict)


def answers(
    models: Sequence[Sequence[keras.Model]], members: Sequence[Member], source: Source, batch_size: int
) -> Known:
    """Return the members' answers for images that taught none of them.

    Out of fold, where all members are cross-validations: each image's answer is from the network that did not
    see it. Else for the validation images, which chose the members' epochs and taught them nothing more.

    Raises:
        InputError: cross-validations and plain runs are mixed: no images are new to all of them.
    """
    crossed = [member.is_crossed for member in members]
    if all(crossed):
        return _out_of_fold(members)
    if any(crossed):
        one, other = (members[crossed.index(each)].path for each in (True, False))
        raise InputError(
            f"{one} is a cross-validation and {other} is a run: no images are new to both to fit on; "
            "name cross-validations only, or runs only, or take --how soft"
        )
    task, preprocess = members[0].runs[0].task, members[0].runs[0].preprocess
    probabilities = []
    for (model,) in models:
        outputs = Subject(model, task, preprocess, batch_size).answers(source.val)
        probabilities.append(probabilities_of(outputs, task))
    return Known(np.stack(probabilities), source.val.labels, VALIDATION)


def probabilities_of(outputs: NDArray[np.floating], task: Task) -> NDArray[np.float64]:
    """Return the probabilities of a member's own outputs, as it gave them in training: not calibrated."""
    from imgrec.metrics.answers import sigmoid, softmax

    return softmax(outputs) if task.activation == "softmax" else sigmoid(outputs)


def _out_of_fold(members: Sequence[Member]) -> Known:
    """Return the answers that the members' folds left, image by image.

    Raises:
        InputError: the members held out other images, or call one by another class.
    """
    tables = [_joined(member) for member in members]
    first = tables[0]
    rows = []
    for member, table in zip(members, tables, strict=True):
        place = {name: index for index, name in enumerate(table.ids)}
        if set(place) != set(first.ids) or table.classes != first.classes:
            raise InputError(
                f"{member.path}: held out other images than {members[0].path}; cross-validate one set"
            )
        order = [place[name] for name in first.ids]
        if tuple(table.labels[index] for index in order) != first.labels:
            raise InputError(f"{member.path}: its images have other labels than those of {members[0].path}")
        rows.append(table.probabilities[order])
    number = {name: index for index, name in enumerate(first.classes)}
    return Known(np.stack(rows), np.array([number[name] for name in first.labels]), "out-of-fold images")


def _joined(member: Member) -> Answers:
    parts = [cross_validation.read_answers(run.path / cross_validation.FILE) for run in member.runs]
    return Answers(
        tuple(name for part in parts for name in part.ids),
        tuple(name for part in parts for name in part.labels),
        parts[0].classes,
        np.concatenate([part.probabilities for part in parts]),
    )


def fit(how: str, known: Known, seed: int) -> Fit:
    """Fit what `how` asks for; say what it and plain voting cost on images that the fit did not see.

    Raises:
        InputError: too few images, see `fusing.fit_stacking`.
    """
    labels, truths = known.labels, known.truths()
    if truths.shape[1] < fusing.FOLDS:
        raise InputError(
            f"{truths.shape[1]} {known.origin} to fit on: expected {fusing.FOLDS} or more; use soft"
        )
    told: dict[str, Any] = {
        "images": len(labels),
        "origin": known.origin,
        "cross_entropy": {
            "members": [fusing.nll(row) for row in truths],
            "soft": fusing.nll(truths.mean(axis=0)),
            "weighted": fusing.nll(fusing.crossed_shares(truths, seed)),
        },
    }
    if how == "weighted":
        shares = fusing.fit_shares(truths)
        return Fit((shares.astype(np.float32),), {**told, "shares": shares.tolist()})
    stacked = fusing.fit_stacking(known.probabilities, labels, seed)
    told["cross_entropy"]["stacking"] = fusing.nll(fusing.of_truth(stacked.crossed, labels))
    return Fit((stacked.kernel, stacked.bias), {**told, "strength": stacked.strength})


def said(how: str, fitted: Fit, members: Sequence[Member]) -> list[str]:
    """Return in words what was fitted on what, a line each."""
    told = fitted.told
    costs = ", ".join(
        f"{name} {value:.4f}" for name, value in told["cross_entropy"].items() if name != "members"
    )
    if how == "weighted":
        parts = zip(members, told["shares"], strict=True)
        line = "weights: " + ", ".join(f"{member.path.name} {share:.3f}" for member, share in parts)
    else:
        line = (
            f"stacking: logistic regression on log-probabilities, C={told['strength']:.3g}, cross-validated"
        )
    where = f"fitted on {told['images']:,} {told['origin']}; cross-entropy there, cross-fitted: {costs}"
    return [line, where]
