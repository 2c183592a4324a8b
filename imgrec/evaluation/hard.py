"""Which images are hard, which are ambiguous, and which classes are confused: by answers that are there."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.evaluation.stored import Stored
from imgrec.tasks.task import Task


@dataclass(frozen=True)
class Answer:
    """What was said of one image: where it stands, what it is, what was said, and whether that is right."""

    index: int
    id: str
    label: str
    predicted: str
    right: bool

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"id": self.id, "label": self.label, "predicted": self.predicted, "right": self.right}


@dataclass(frozen=True)
class Confused:
    """A class that is taken for another: how often, of how many, and the images most surely mistaken."""

    label: str
    predicted: str
    count: int
    images: int
    shown: tuple[Answer, ...]


def hardest(task: Task, held: Stored, count: int, apart: Collection[int] = ()) -> list[Answer]:
    """Return the images whose truth was least likely to the model, without those that stand elsewhere."""
    scores = task.scores(held.outputs)
    surprise = task.surprise(scores, held.labels)
    if surprise is None:
        return []
    order = [int(index) for index in np.argsort(-surprise, kind="stable") if int(index) not in apart]
    return answers(task, held, order[:count])


def ambiguous(task: Task, held: Stored, count: int) -> list[Answer]:
    """Return the images that were nearest to another answer."""
    margin = task.margin(task.scores(held.outputs))
    if margin is None:
        return []
    return answers(task, held, np.argsort(margin, kind="stable")[:count].tolist())


def confused(task: Task, held: Stored, pairs: int, pictures: int) -> list[Confused]:
    """Return the pairs of classes most often confused, with the images of each, the surest mistakes first.

    Empty where images have several labels: there no class is taken for another one.
    """
    scores = task.scores(held.outputs)
    marks, surprise = task.marks(held.labels), task.surprise(scores, held.labels)
    if marks is None or surprise is None or not (marks.sum(axis=1) == 1).all():
        return []
    truth, said = marks.argmax(axis=1), scores.argmax(axis=1)
    sizes = marks.sum(axis=0)
    wrong = np.flatnonzero(truth != said)
    found = Counter(zip(truth[wrong].tolist(), said[wrong].tolist(), strict=True)).most_common(pairs)
    return [
        Confused(
            task.classes[label],
            task.classes[other],
            count,
            int(sizes[label]),
            tuple(answers(task, held, _surest((truth == label) & (said == other), surprise)[:pictures])),
        )
        for (label, other), count in found
    ]


def _surest(members: NDArray[np.bool_], surprise: NDArray[np.float64]) -> list[int]:
    places = np.flatnonzero(members)
    return [int(index) for index in places[np.argsort(-surprise[places], kind="stable")]]


def answers(task: Task, held: Stored, places: Sequence[int]) -> list[Answer]:
    """Return what was said of the images at `places`, in the words of predictions.csv."""
    if not places:
        return []
    chosen = np.array(places)
    ids = [held.ids[index] for index in places]
    _, *rows = task.table(ids, held.labels[chosen], held.outputs[chosen])
    return [
        Answer(index, name, label or "none", said or "none", bool(right))
        for index, (name, label, said, right, *_) in zip(places, rows, strict=True)
    ]
