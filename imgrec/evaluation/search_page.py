"""The page of a search for settings: one HTML file with the trials, the best of them and what matters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec.evaluation.figures import curve
from imgrec.evaluation.page import number, render
from imgrec.files import write_text


@dataclass(frozen=True)
class Results:
    """What the page tells of a search.

    title: what was trained on.
    monitor: the figure that was to be high, such as "accuracy", on validation.
    space: what might change, as text by name.
    trials: in their order, each with `number`, `state` (complete, pruned, fail, running, again), `value`
        (None unless complete), `reached` (highest so far), `epochs`, `test`, `seconds`, `first` (whether it
        is the setting that the search began with) and `params`.
    best: number of the best one.
    importance: share of each parameter in the spread of values, 0…1; empty where too few finished.
    recipe: the best setting, YAML.
    command: the command line, if known.
    """

    title: str
    monitor: str
    space: Mapping[str, str]
    trials: Sequence[Mapping[str, Any]]
    best: int
    importance: Mapping[str, float]
    recipe: str
    command: str = ""


def write_page(path: Path, results: Results) -> None:
    """Write the page of one search to `path`, an HTML file, whole or not at all."""
    finished = [trial for trial in results.trials if trial["value"] is not None]
    states = [trial["state"] for trial in results.trials]
    values = {
        "names": list(results.space),
        "rows": [
            {**trial, "texts": [_text(trial["params"].get(name)) for name in results.space]}
            for trial in results.trials
        ],
        "chosen": next(trial for trial in finished if trial["number"] == results.best),
        "first": next((trial for trial in finished if trial["first"]), None),
        "counts": {state: states.count(state) for state in ("complete", "pruned", "fail", "running")},
        "importance": sorted(results.importance.items(), key=lambda item: -item[1]),
        "figure": _figure(finished, results.monitor),
    }
    write_text(path, render("search.html.j2", **(vars(results) | values)))


def _figure(finished: Sequence[Mapping[str, Any]], monitor: str) -> str:
    """An SVG of each finished trial's value and of the best so far."""
    values = [trial["value"] for trial in finished]
    best_so_far = [max(values[: index + 1]) for index in range(len(values))]
    lines = {"each trial": values, "best so far": best_so_far}
    return curve(f"validation {monitor}", [trial["number"] for trial in finished], lines, across="trial")


def _text(value: Any) -> str:
    """A parameter as text; no parameter, for a trial that died early, as a dash."""
    if isinstance(value, str):
        return value or "“”"
    return str(value).lower() if isinstance(value, bool) else number(value, 4)
