"""What the adaptive steps are worth: a section of the report."""

from imgrec.evaluation.evaluated import Evaluated, Section


def adaptive_steps(given: Evaluated) -> Section | None:
    """What the adaptive steps are worth."""
    if given.adaptation is None:
        return None
    json = {"adaptation": given.adaptation}
    return Section("Adaptive steps, against off", "adaptation.html.j2", json, json, link="Adaptation")
