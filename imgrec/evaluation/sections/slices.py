"""Where the model is weaker than elsewhere: a section of the report."""

from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.image_facts import image_facts
from imgrec.evaluation.slices import Sliced, sliced
from imgrec.phrases import Phrase

_LEFT_OUT = 8


def slices(given: Evaluated) -> Section | None:
    """The share of right answers by brightness, contrast, sharpness, size, and a table's further columns."""
    if given.test is None or given.split is None:
        return None
    found = slices_of(given)
    if not found.slices and not found.left_out:
        return None
    title, link = Phrase("Slices: where it is weaker"), Phrase("Slices")
    data = {
        "slices": found.slices,
        "weak": [each for each in found.slices if each.weak],
        "left_out": found.left_out[:_LEFT_OUT],
        "more": max(0, len(found.left_out) - _LEFT_OUT),
    }
    json = {
        "slices": {
            "judged": [each.record() for each in found.slices],
            "left_out": [str(each) for each in found.left_out],
        }
    }
    return Section(title, "slices.html.j2", data, json, link=link)


def slices_of(given: Evaluated) -> Sliced:
    """Return the slices of the images that were answered."""
    if given.test is None or given.split is None:
        return Sliced((), ())
    right = given.task.right(given.task.scores(given.test.outputs), given.test.labels)
    attributes: dict[str, Any] = {}
    if given.subject is not None:
        attributes |= image_facts(given.split, given.subject.preprocess)
    return sliced(right, attributes | dict(given.split.attributes))
