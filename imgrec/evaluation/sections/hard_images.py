"""Classes that are confused, hard images and ambiguous ones, with their pictures: a section of the report."""

from collections.abc import Sequence

import numpy as np

from imgrec.data.loading import load_arrays
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import data_uri
from imgrec.evaluation.hard import Answer, ambiguous, confused, hardest
from imgrec.phrases import Phrase

_PAIRS, _PICTURES, _IMAGES = 6, 4, 12
Shown = list[tuple[Answer, str]]
"""Answers, each with its picture, or an empty text where it is not there."""


def hard_images(given: Evaluated) -> Section | None:
    """Pairs of classes with what is taken for what, and the hardest and the most ambiguous images."""
    if given.test is None:
        return None
    task, held = given.task, given.test
    pairs = confused(task, held, _PAIRS, _PICTURES)
    apart = {mistake.index for mistake in given.mistakes}
    hard = hardest(task, held, _IMAGES, apart)
    unsure = ambiguous(task, held, _IMAGES)
    if not (pairs or hard or unsure):
        return None
    data = {
        "pairs": [(pair, _with_pictures(given, pair.shown)) for pair in pairs],
        "hardest": _with_pictures(given, hard),
        "ambiguous": _with_pictures(given, unsure),
    }
    json = {
        "hard_images": {
            "confused": [
                {
                    "label": pair.label,
                    "predicted": pair.predicted,
                    "count": pair.count,
                    "images": pair.images,
                    "ids": [answer.id for answer in pair.shown],
                }
                for pair in pairs
            ],
            "hardest": [answer.record() for answer in hard],
            "ambiguous": [answer.record() for answer in unsure],
        }
    }
    title, link = Phrase("Confused, hard and ambiguous images"), Phrase("Hard images")
    return Section(title, "hard_images.html.j2", data, json, link=link)


def _with_pictures(given: Evaluated, shown: Sequence[Answer]) -> Shown:
    """Return the answers with their pictures as the model sees them, as far as they are there."""
    if given.split is None or not shown:
        return [(answer, "") for answer in shown]
    some = given.split.take(np.array([answer.index for answer in shown]))
    if given.subject is not None:
        images = load_arrays(some, given.subject.preprocess)
    elif some.images is not None:
        images = some.images
    else:
        return [(answer, "") for answer in shown]
    return [(answer, data_uri(image)) for answer, image in zip(shown, images, strict=True)]
