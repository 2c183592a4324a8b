"""The report of a run: one HTML file that needs nothing else to be read, now or in ten years."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.evaluations import Evaluation, in_order
from imgrec.evaluation.page import fragment, render
from imgrec.files import write_json, write_text

NONE: Mapping[str, Evaluation] = MappingProxyType({})


def write_report(folder: Path, evaluated: Evaluated, also: Mapping[str, Evaluation] = NONE) -> None:
    """Write metrics.json and report/index.html into a run folder, each whole or not at all.

    `also` are evaluations that were asked for, as `evaluations.requested` returns them.

    Everything that comes from the user (class names, ids, settings) is escaped. The page asks for
    nothing over a network, runs no script, and follows the reader's light or dark scheme.
    """
    told = {name: evaluate(evaluated) for name, evaluate in in_order(dict(also)).items()}
    sections = {name: section for name, section in told.items() if section is not None}
    write_json(folder / "metrics.json", _joined(sections))
    name = str(evaluated.config.get("model", "auto"))
    page = render(
        "report.html.j2",
        language=evaluated.language,
        title=evaluated.title,
        model="The model" if name == "auto" else name,
        lede=evaluated.task.lede(evaluated.figures),
        sections=[
            (name, each, fragment(each.template, each.data, evaluated.language))
            for name, each in sections.items()
        ],
    )
    write_text(folder / "report" / "index.html", page)


def _joined(sections: Mapping[str, Section]) -> dict[str, Any]:
    """Return the JSON of all sections as one mapping."""
    joined: dict[str, Any] = {}
    for name, section in sections.items():
        taken = sorted(joined.keys() & section.json.keys())
        if taken:
            raise ValueError(f"evaluation {name} writes {', '.join(taken)} into metrics.json, as another")
        joined |= section.json
    return joined
