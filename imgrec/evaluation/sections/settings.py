"""What made a run: a section of the report."""

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.metrics.single_label import CALIBRATION_BINS
from imgrec.phrases import Phrase


def settings(given: Evaluated) -> Section:
    """The settings and versions that made the run, and how figures were computed."""
    shown = {
        "command": given.command,
        "config": given.config,
        "versions": given.versions,
        "bins": CALIBRATION_BINS if "expected_calibration_error" in given.figures else 0,
        "interval": any(name.endswith("_interval_95") for name in given.figures),
    }
    return Section(Phrase("Settings and versions"), "settings.html.j2", shown, link=Phrase("Settings"))
