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


def write_report(folder: Path, evaluated: Evaluated, also: Mapping[str, Evaluation] = NONE) -> dict[str, Any]:
    """Write metrics.json and report/index.html into a run folder, each whole or not at all.

    Returns what metrics.json has.

    `also` are evaluations that were asked for, as `evaluations.requested` returns them.

    Everything that comes from the user (class names, ids, settings) is escaped. The page asks for nothing
    over a network, runs one script, its own, by whose hash its policy knows it, and can be read without it.
    """
    told = {name: evaluate(evaluated) for name, evaluate in in_order(dict(also)).items()}
    sections = {name: section for name, section in told.items() if section is not None}
    metrics = _joined(sections)
    write_json(folder / "metrics.json", metrics)
    write_text(folder / "report" / "index.html", page_of(evaluated, sections))
    return metrics


def page_of(evaluated: Evaluated, sections: Mapping[str, Section]) -> str:
    """Return the page of these sections by their anchors, in the language of `evaluated`."""
    language, name = evaluated.language, str(evaluated.config.get("model", "auto"))
    lede = evaluated.task.lede(evaluated.figures)
    before, _, after = language(lede, figure=_MARK).partition(_MARK)
    return render(
        "report.html.j2",
        language,
        title=evaluated.title,
        model=language("The model") if name == "auto" else name,
        lede=(before, lede.values.get("figure", ""), after),
        links=[(name, each.link or each.title) for name, each in sections.items() if each.link != ""],
        sections=[
            (name, each, fragment(each.template, each.data, language)) for name, each in sections.items()
        ],
    )


_MARK = "\0"
"""Stands where the figure is to be set off, and in no sentence."""


def _joined(sections: Mapping[str, Section]) -> dict[str, Any]:
    """Return the JSON of all sections as one mapping."""
    joined: dict[str, Any] = {}
    for name, section in sections.items():
        taken = sorted(joined.keys() & section.json.keys())
        if taken:
            raise ValueError(f"evaluation {name} writes {', '.join(taken)} into metrics.json, as another")
        joined |= section.json
    return joined
