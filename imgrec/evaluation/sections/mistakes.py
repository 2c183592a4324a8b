"""The wrong answers that tell most: a section of the report."""

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import data_uri
from imgrec.phrases import Phrase


def mistakes(given: Evaluated) -> Section:
    """The wrong answers that tell most, with their images."""
    images = given.figures["images"]
    shown = zip(given.mistakes, given.mistake_images, strict=True)
    data = {
        "mistakes": [(mistake, data_uri(image)) for mistake, image in shown],
        "count": images - round(given.task.share_right(given.figures) * images),
        "images": images,
    }
    return Section(Phrase("Most confident mistakes"), "mistakes.html.j2", data, link=Phrase("Mistakes"))
