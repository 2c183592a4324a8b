"""How far the model's sureness can be believed: a section of the report."""

from typing import Any

from imgrec.evaluation import sureness
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.sureness_figures import diagram, risks
from imgrec.phrases import Phrase


def calibration(given: Evaluated) -> Section | None:
    """Probabilities before and after scaling, prediction sets, and answers withheld, on the page's images."""
    if given.test is None:
        return None
    told = sureness.judge(given.task, given.test.outputs, given.test.labels)
    if told is None:
        return None
    parts = [(name, told[name]) for name in ("before", "after") if told.get(name)]
    title = {"before": Phrase("As the network gives them"), "after": Phrase("After scaling")}
    selective, sets = told.get("selective"), told.get("sets")
    data: dict[str, Any] = {
        "told": told,
        "rows": [(title[name], part) for name, part in parts],
        "diagrams": [
            diagram(title[name], part["bins"], given.language) for name, part in parts if part["bins"]
        ],
        "risks": risks(selective, given.language) if selective else "",
        "sets": sets,
        "sizes": [(size, count) for size, count in enumerate(sets["sizes"], 1) if count] if sets else [],
        "selective": selective,
        "scaling": told.get("scaling"),
        "fewest": sureness.FEWEST,
        "fewest_for_bins": sureness.FEWEST_FOR_BINS,
        "seen": given.figures.get("split", "test") in ("train", "val", "all"),
        "several": given.task.labels != "class",
    }
    return Section(
        Phrase("How sure it may be"), "calibration.html.j2", data, {"calibration": told}, Phrase("Sureness")
    )
