"""What the answers rest on, wrong ones and right ones: a section of the report with maps over pictures."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgrec import runtimes
from imgrec.data.loading import load_arrays
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import data_uri
from imgrec.explain import overlay
from imgrec.explain.asked import Asked
from imgrec.explain.methods import explain, fitting
from imgrec.metrics.answers import printable
from imgrec.phrases import Phrase
from imgrec.spec import Spec
from imgrec.tasks.classes import ClassTask

SHOWN = 8
"""So many wrong answers, and as many right ones, have a map."""
SMALLEST = 112
"""Shortest side of a picture here; smaller ones are enlarged by a whole number."""
_COARSE = 4
"""Squares of an occlusion map a side, where the network has no other: each is one answer more."""


class Tile(NamedTuple):
    """One answer: its image's id, the class explained and its score, the labels, and both pictures."""

    id: str
    label: str
    score: float
    truth: str
    picture: str
    mapped: str


def looking(given: Evaluated) -> Section | None:
    """Maps for the wrong answers given most surely, and for a typical right one of each of some classes."""
    task, subject, split = given.task, given.subject, given.split
    if not isinstance(task, ClassTask) or subject is None or split is None or given.test is None:
        return None
    scores = task.scores(given.test.outputs)
    classes = task.telling(scores, split.labels)
    wrong = {each.index: each.label for each in given.mistakes[:SHOWN]}
    right = typical(scores, classes, task.right(scores, split.labels))
    places = np.array([*wrong, *right], int)
    if not len(places):
        return None
    images = load_arrays(split.take(places), subject.preprocess)
    asked = Asked(runtimes.of_model(subject.model), task, np.stack(list(images)), classes[places])
    maps = explain(asked, _affordable(asked))
    tiles = []
    for place, image, values in zip(places, asked.images, maps.values, strict=True):
        picture, heat = overlay.enlarged(image, overlay.strength(values, maps.grain), SMALLEST)
        about = (task.classes[classes[place]], float(scores[place, classes[place]]), wrong.get(place, ""))
        shown = data_uri(picture), data_uri(overlay.painted(picture, heat))
        tiles.append(Tile(printable(split.ids[place]), *about, *shown))
    groups = {"wrong": tiles[: len(wrong)], "right": tiles[len(wrong) :]}
    data = {"method": maps.method, "about_class": maps.about_class, "groups": groups}
    return Section(Phrase("What the answers rest on"), "looking.html.j2", data, link=Phrase("Maps"))


def typical(
    scores: NDArray[np.floating], classes: NDArray[np.integer], right: NDArray[np.bool_]
) -> list[int]:
    """Return the places of right answers, one for each of up to `SHOWN` classes, evenly chosen among them.

    Of a class's right answers it is the one whose score is in the middle.
    """
    there = np.unique(classes[right])
    some = there[np.unique(np.linspace(0, len(there) - 1, min(SHOWN, len(there))).round().astype(int))]
    chosen = []
    for label in some:
        among = np.flatnonzero(right & (classes == label))
        order = among[np.argsort(scores[among, label], kind="stable")]
        chosen.append(int(order[len(order) // 2]))
    return chosen


def _affordable(asked: Asked) -> Spec:
    """Return the explanation that fits, coarse where it takes an answer for each place."""
    name = fitting(asked.runtime)
    if name != "occlusion":
        return Spec(name)
    side = max(1, min(asked.sides) // _COARSE)
    return Spec(name, options={"window": side, "stride": side})
