"""What a search leaves: the recipe of the best setting, and the page of its trials."""

import shlex
from typing import TYPE_CHECKING, Any

from imgrec.config import Config
from imgrec.evaluation.search_page import Results, write_page
from imgrec.runs.child import write_recipe
from imgrec.runs.search import study as studies
from imgrec.runs.search.plan import Search

if TYPE_CHECKING:
    import optuna

HEADER = """The best of {count} trials, number {number}: validation accuracy {value:.4f}.

  {command}
"""


def finish(search: Search, command: str) -> int:
    """Write the best setting's recipe and the page, print where they are; return the exit code, 0."""
    best = studies.best(search.study)
    trials = search.study.get_trials(deepcopy=False)
    if best is None or best.value is None:
        print(f"no trial has finished yet; {len(trials)} were begun elsewhere")
        return 0
    out = search.out
    recipe, to = out / "best.yaml", out.with_name(f"{out.name}_best")
    words = shlex.join(["python", "-m", "pipelines.train", "--recipe", str(recipe), "--out", str(to)])
    count = sum(studies.counts(trial) for trial in trials)
    header = HEADER.format(count=count, number=best.number, value=best.value, command=words)
    chosen, plain = search.space.apply(search.config, best.params).flat(), Config().flat()
    changed = {key: value for key, value in chosen.items() if key != "out" and value != plain[key]}
    write_recipe(recipe, changed, header)
    results = Results(
        title=search.config.data.data,
        monitor=search.monitor.removeprefix("val_").replace("_", " "),
        space=search.space.record(),
        trials=[_record(trial) for trial in trials if trial.state.name != "WAITING"],
        best=best.number,
        importance=studies.importances(search.study),
        recipe=recipe.read_text(encoding="utf-8"),
        command=command,
    )
    write_page(out / "index.html", results)
    print(f"\nbest of {count} trials: number {best.number}, {search.monitor} {best.value:.4f}")
    for first in (trial for trial in trials if trial.user_attrs.get("default") and trial.value is not None):
        print(f"the first setting: {search.monitor} {first.value:.4f}")
    print(f"page: {out / 'index.html'}")
    print(f"done: {recipe}; train with it: {words}")
    return 0


def _record(trial: "optuna.trial.FrozenTrial") -> dict[str, Any]:
    """What the page says of one trial."""
    return {
        "number": trial.number,
        "state": "again" if not studies.counts(trial) else trial.state.name.lower(),
        "value": trial.value if trial.state.name == "COMPLETE" else None,
        "reached": max(trial.intermediate_values.values(), default=None),
        "epochs": max(trial.intermediate_values, default=0),
        "test": trial.user_attrs.get("test_accuracy"),
        "seconds": trial.user_attrs.get("seconds"),
        "first": bool(trial.user_attrs.get("default")),
        "params": trial.params,
    }
