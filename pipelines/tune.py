"""Search for better settings, one process a trial: `python -m pipelines.tune --trials 20 --data FOLDER`."""

import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.runs.child import Training, for_one_training, unfinished, write_recipe
from imgrec.runs.search import study as studies
from imgrec.runs.search.space import Space, default_space, read_space
from pipelines.cli import guarded, parse, take_recipe

if TYPE_CHECKING:
    import optuna

DESCRIPTION = """Search for settings with a higher validation accuracy, one training process a trial.

  python -m pipelines.tune --trials 20 --data photos/ --out saved_models/photos_tuned
  python -m pipelines.tune --space space.yaml --trials 50 --recipe sample
  python -m pipelines.tune --storage mysql://USER@HOST/trials --study photos …    (on several machines)

Takes every flag of pipelines.train, and --recipe: they are the setting that the search begins with and that
the first trial trains, so that the best is no worse. --space is YAML over flags' names:

  learning_rate: {low: 0.01, high: 0.5, log: true}
  model: [resnet8, resnet14, resnet20]
  model.width: [16, 32, 48]
  augment: ["", "flip|trivialaugment"]

Without it: rate, decay, smoothing, erasing and augmentation around the first setting. A trial that falls
below the median of the finished ones at the same epoch is stopped, and its unfinished folder removed. After
an interruption give the same command: trials that died are run again.

OUT/index.html shows the trials and what matters, OUT/best.yaml is the recipe of the best, OUT/trials/ has the
runs (not quantised). Exit codes are train's; the first trial's, where that fails."""

OUT = "saved_models/tune"
PATIENCE = 3
"""Trials that may fail one after another before the search is given up."""
RECIPE_HEADER = """The best of {count} trials, number {number}: validation accuracy {value:.4f}.

  {command}
"""


@dataclass(frozen=True)
class Arguments:
    """What to search, how long, and the setting to begin with."""

    trials: int = 20
    """How many trials in all, those of earlier calls and of other machines included."""
    space: Annotated[Path, tyro.conf.arg(metavar="FILE.yaml", help_behavior_hint="")] = Path()
    """What may change; by default rate, decay, smoothing, erasing and augmentation."""
    storage: Annotated[str, tyro.conf.arg(metavar="URL", help_behavior_hint="(default: OUT/study.db)")] = ""
    """Database of the trials, which several machines may share."""
    study: str = "imgrec"
    """Name of the search in that database."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)


@dataclass(frozen=True)
class Search:
    """What all trials have in common."""

    study: "optuna.Study"
    space: Space
    default: dict[str, Any]
    """The first setting, under the space's names."""
    config: Config
    out: Path
    wanted: int
    monitor: str
    """The column of history.csv that is to be high."""


def run(arguments: Arguments, command: str = "") -> int:
    """Run the trials that are left, and say which was best; return the exit code.

    Raises:
        InputError: bad settings, space or storage.
    """
    search = begin(arguments)
    for number in studies.recover(search.study):
        shutil.rmtree(unfinished(_folder(search, number)), ignore_errors=True)
        print(f"trial {number}: its process had died; queued again", flush=True)
    code = run_trials(search)
    if not code:
        finish(search, arguments, command)
    return code


def begin(arguments: Arguments) -> Search:
    """Check the settings and open the study."""
    config = arguments.config
    if arguments.trials < 1:
        raise InputError(f"--trials {arguments.trials}: expected 1 or more")
    for_one_training(config)
    if config.data.fold:
        raise InputError(f"--fold {config.data.fold} is for one training: use it with pipelines.train")
    space = default_space(config) if arguments.space == Path() else read_space(arguments.space)
    default = space.values(config)
    out = Path(config.run.out)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "trials").is_dir())):
        raise InputError(f"--out {out}: holds something that is no search; name a new folder")
    (out / "trials").mkdir(parents=True, exist_ok=True)
    study = studies.connect(
        arguments.storage or f"sqlite:///{(out / 'study.db').absolute()}", arguments.study
    )
    settings = {name: value for name, value in config.flat().items() if name not in ("out", "quantize")}
    settings |= {f"space {name}": text for name, text in space.record().items()}
    studies.adopt(study, json.loads(json.dumps(settings)))
    study.pruner = studies.pruner(config.optim.epochs)
    monitor = "val_accuracy" if config.loss.imbalance == "none" else "val_balanced_accuracy"
    return Search(study, space, default, config, out, arguments.trials, monitor)


def run_trials(search: Search) -> int:
    """Run trials until there are enough; return 0, or the exit code that ends the search."""
    failed = 0
    while True:
        trial = studies.next_trial(
            search.study, search.space, search.default, search.wanted, search.config.run.seed
        )
        if trial is None:
            return 0
        try:
            code = run_trial(search, trial)
        except BaseException:  # interrupted: another call goes on with these values
            shutil.rmtree(unfinished(_folder(search, trial.number)), ignore_errors=True)
            studies.put_back(search.study, trial.number)
            raise
        failed = failed + 1 if code else 0
        if code and trial.user_attrs.get("default"):
            print("error: the first setting itself cannot be trained", file=sys.stderr)
            return code
        if failed == PATIENCE:
            print(f"error: {PATIENCE} trials failed one after another", file=sys.stderr)
            return code


def run_trial(search: Search, trial: "optuna.Trial") -> int:
    """Train one trial's setting, or stop it half-way, and record what came of it; return its exit code."""
    from optuna.trial import TrialState

    changes = ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
    title = f"trial {trial.number}"
    print(f"{title}: {'the first setting: ' * bool(trial.user_attrs.get('default'))}{changes}", flush=True)
    out, begun = _folder(search, trial.number), time.perf_counter()
    config = search.space.apply(search.config, trial.params).replace(quantize="none")
    with Training(config, out) as training:
        for row in training.epochs(tick=studies.Beat(trial)):
            if search.monitor not in row:
                raise InputError("tune compares accuracies, and images with several labels have none")
            value, epoch = row[search.monitor], int(row["epoch"])
            print(f"{title}  epoch {epoch}/{config.optim.epochs}  {search.monitor} {value:.4f}", flush=True)
            trial.report(value, epoch)
            last = epoch == config.optim.epochs or trial.user_attrs.get("default")
            if not last and trial.should_prune() and _stopped(training):
                shutil.rmtree(unfinished(out), ignore_errors=True)
                trial.set_user_attr("seconds", time.perf_counter() - begun)
                search.study.tell(trial, state=TrialState.PRUNED)
                print(f"{title}: stopped, below the median at epoch {epoch}", flush=True)
                return 0
        code = training.exit_code
    trial.set_user_attr("seconds", time.perf_counter() - begun)
    if code in (130, 143):  # not by us: somebody ends trainings on this machine
        raise SystemExit(code)
    if code:
        if not trial.user_attrs.get("default"):
            trial.set_user_attr("exit", code)  # a setting that cannot be trained; the first is tried again
        search.study.tell(trial, state=TrialState.FAIL)
        said = f"{training.last_line()}; log: {training.log}"
        print(f"{title} ended with exit code {code}: {said}", file=sys.stderr)
        return code
    value, test = outcome(out, search.monitor)
    trial.set_user_attr("test_accuracy", test)
    search.study.tell(trial, value)
    print(f"{title}: {search.monitor} {value:.4f}", flush=True)
    return 0


def _stopped(training: Training) -> bool:
    """Stop a training; False where it had finished before."""
    training.stop()
    return training.exit_code != 0


def outcome(out: Path, monitor: str) -> tuple[float, float]:
    """A finished run's figure on validation, of the epoch whose weights were kept, and its test accuracy."""
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return metrics["validation"][monitor.removeprefix("val_")], metrics["test"]["accuracy"]


def finish(search: Search, arguments: Arguments, command: str) -> None:
    """Write the best setting's recipe and the page; print where they are."""
    from imgrec.evaluation.search_page import SearchRecord, write_page

    best = studies.best(search.study)
    trials = search.study.get_trials(deepcopy=False)
    if best is None or best.value is None:
        print(f"no trial has finished yet; {len(trials)} were begun elsewhere")
        return
    recipe, to = search.out / "best.yaml", search.out.with_name(f"{search.out.name}_best")
    words = shlex.join(["python", "-m", "pipelines.train", "--recipe", str(recipe), "--out", str(to)])
    count = sum(studies.counts(trial) for trial in trials)
    header = RECIPE_HEADER.format(count=count, number=best.number, value=best.value, command=words)
    chosen, plain = search.space.apply(search.config, best.params).flat(), Config().flat()
    write_recipe(
        recipe,
        {key: _plain(value) for key, value in chosen.items() if key != "out" and value != plain[key]},
        header,
    )
    record = SearchRecord(
        title=search.config.data.data,
        monitor=search.monitor.removeprefix("val_").replace("_", " "),
        space=search.space.record(),
        trials=[_record(trial) for trial in trials if trial.state.name != "WAITING"],
        best=best.number,
        importance=studies.importances(search.study),
        recipe=recipe.read_text(encoding="utf-8"),
        command=command,
    )
    write_page(search.out / "index.html", record)
    print(f"\nbest of {count} trials: number {best.number}, {search.monitor} {best.value:.4f}")
    for first in (trial for trial in trials if trial.user_attrs.get("default") and trial.value is not None):
        print(f"the first setting: {search.monitor} {first.value:.4f}")
    print(f"page: {search.out / 'index.html'}")
    print(f"done: {recipe}; train with it: {words}")


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


def _folder(search: Search, number: int) -> Path:
    return search.out / "trials" / f"{number:04d}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    recipe, rest = take_recipe(words)
    options = {"prog": "python -m pipelines.tune", "description": DESCRIPTION}
    arguments = parse(Arguments, rest, default=Arguments(config=recipe.replace(out=OUT)), **options)
    return run(arguments, shlex.join(["python", "-m", "pipelines.tune", *words]))


if __name__ == "__main__":
    guarded(main)
