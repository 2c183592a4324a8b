"""The trials of a search, one training process each: begun, followed, stopped, recorded."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from imgrec.errors import InputError
from imgrec.runs.child import Training
from imgrec.runs.search import study as studies
from imgrec.runs.search.plan import Search
from imgrec.runs.search.space import Scalar

if TYPE_CHECKING:
    import optuna

PATIENCE = 3
"""Trials that may fail one after another before the search is given up."""


def run_trials(search: Search) -> int:
    """Run trials until there are enough; return 0, or the exit code that ends the search."""
    for number in studies.recover(search.study):
        search.discard(number)
        print(f"trial {number}: its process had died; queued again", flush=True)
    failed, seed = 0, search.config.run.seed
    while trial := studies.next_trial(search.study, search.space, search.default, search.wanted, seed):
        try:
            code = run_trial(search, trial)
        except BaseException:  # interrupted: another call goes on with these values
            search.discard(trial.number)
            studies.put_back(search.study, trial.number)
            raise
        failed = failed + 1 if code else 0
        if code and trial.user_attrs.get("default"):
            print("error: the first setting itself cannot be trained", file=sys.stderr)
            return code
        if failed == PATIENCE:
            print(f"error: {PATIENCE} trials failed one after another", file=sys.stderr)
            return code
    return 0


def run_trial(search: Search, trial: "optuna.Trial") -> int:
    """Train one trial's setting, or stop it half-way, and record what came of it; return its exit code."""
    from optuna.trial import TrialState

    is_first, title = bool(trial.user_attrs.get("default")), f"trial {trial.number}"
    changes = ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
    print(f"{title}: {'the first setting: ' * is_first}{changes}", flush=True)
    out, begun = search.folder(trial.number), time.perf_counter()
    config = search.space.apply(search.config, trial.params).replace(quantize="none", prune="none")
    with Training(config, out) as training:
        stopped = _follow(search, trial, training)
        code = training.exit_code
    trial.set_user_attr("seconds", time.perf_counter() - begun)
    if stopped:
        search.discard(trial.number)
        search.study.tell(trial, state=TrialState.PRUNED)
        print(f"{title}: stopped, below the median at epoch {stopped}", flush=True)
        return 0
    if code in (130, 143):  # not by us: somebody ends trainings on this machine
        raise SystemExit(code)
    if code:
        if not is_first:
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


def _follow(search: Search, trial: "optuna.Trial", training: Training) -> int | None:
    """Report every epoch of a training; return the one after which it was stopped, None where it was not."""
    epochs = search.config.optim.epochs
    for row in training.epochs(tick=studies.Beat(trial)):
        if search.monitor not in row:
            raise InputError("tune compares accuracies, and images with several labels have none")
        value, epoch = row[search.monitor], int(row["epoch"])
        head = f"trial {trial.number}  epoch {epoch}/{epochs}"
        print(f"{head}  {search.monitor} {value:.4f}", flush=True)
        trial.report(value, epoch)
        if epoch < epochs and not trial.user_attrs.get("default") and trial.should_prune():
            training.stop()
            if training.exit_code:  # else it had finished before
                return epoch
    return None


def outcome(out: Path, monitor: str) -> tuple[float, float]:
    """A finished run's figure on validation, of the epoch whose weights were kept, and its test accuracy."""
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return metrics["validation"][monitor.removeprefix("val_")], metrics["test"]["accuracy"]


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
