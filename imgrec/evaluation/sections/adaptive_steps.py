"""What the adaptive steps are worth: a section of the report."""

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.phrases import Phrase


def adaptive_steps(given: Evaluated) -> Section | None:
    """What the adaptive steps are worth."""
    if given.adaptation is None:
        return None
    json = {"adaptation": given.adaptation}
    return Section(
        Phrase("Adaptive steps, against off"), "adaptation.html.j2", json, json, link=Phrase("Adaptation")
    )
