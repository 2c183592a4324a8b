"""A search's trials in Optuna's storage: which one is next, which has died, which is not worth going on."""

import os
import platform
import time
from typing import TYPE_CHECKING, Any

from imgrec.errors import InputError
from imgrec.runs.child import difference
from imgrec.runs.search.space import Scalar, Space

if TYPE_CHECKING:
    import optuna

SILENT = 600.0
"""Seconds without a sign of life after which a trial of another machine counts as dead."""
BEAT = 30.0
"""Seconds between two signs of life."""


def connect(url: str, name: str) -> "optuna.Study":
    """Open the study `name` at a storage URL, or make it.

    Raises:
        InputError: Optuna is not installed, or the storage cannot be opened.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise InputError("tune needs Optuna: pip install 'imgrec[tune]'") from None
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(storage=url, study_name=name, direction="maximize", load_if_exists=True)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"--storage {url}: cannot be opened ({reason}); expected a database, such as sqlite:///study.db"
        ) from None


def adopt(study: "optuna.Study", settings: dict[str, Any]) -> None:
    """Note in a new study what it is a search of; refuse one of something else.

    Raises:
        InputError: the study was begun with other settings or another space.
    """
    held = study.user_attrs.get("settings")
    if held is None:
        study.set_user_attr("settings", settings)
        return
    changed = difference(held, settings)
    if changed:
        raise InputError(
            f"study {study.study_name!r} is a search of other settings ({changed}): "
            "name another --out, or in a shared storage another --study"
        )


def recover(study: "optuna.Study") -> list[int]:
    """Mark trials whose process has died as failed, and queue their values again; return their numbers."""
    from optuna.trial import TrialState

    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    dead = [trial.number for trial in running if not _is_alive(trial)]
    for number in dead:
        put_back(study, number)
    return dead


def put_back(study: "optuna.Study", number: int) -> None:
    """Queue the values of a trial again, then mark it as failed."""
    from optuna.trial import TrialState

    trial = study.trials[number]
    if trial.state.is_finished():
        return
    values = trial.params or trial.system_attrs.get("fixed_params", {})
    if values:
        default = {"default": True} if trial.user_attrs.get("default") else {}
        study.enqueue_trial(values, user_attrs={**default, "again": number})
    study.tell(number, state=TrialState.FAIL, skip_if_finished=True)  # another machine may see it too


def _is_alive(trial: "optuna.trial.FrozenTrial") -> bool:
    """Whether the process that a running trial belongs to still runs, as far as can be told from here."""
    facts = trial.user_attrs
    if facts.get("host") == platform.node() and not _process_exists(facts["pid"]):
        return False
    begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return time.time() - facts.get("beat", begun) < SILENT


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


class Beat:
    """Tells the storage, now and then, that a trial's process lives."""

    def __init__(self, trial: "optuna.Trial") -> None:
        self.trial, self.last = trial, 0.0
        trial.set_user_attr("host", platform.node())
        trial.set_user_attr("pid", os.getpid())

    def __call__(self) -> None:
        """Write the time, where the last was written long enough ago."""
        if time.monotonic() - self.last >= BEAT or not self.last:
            self.last = time.monotonic()
            self.trial.set_user_attr("beat", time.time())


def next_trial(
    study: "optuna.Study", space: Space, default: dict[str, Scalar], wanted: int, seed: int
) -> "optuna.Trial | None":
    """Return the next trial of the search, None where all have been begun.

    The first has the values of `default`. The proposals of a trial are a function of seed, its number and
    the trials before it (TPE: Bergstra et al., 2011, "Algorithms for hyper-parameter optimization").
    """
    import numpy as np
    from optuna.samplers import TPESampler

    trials = study.get_trials(deepcopy=False)
    if sum(counts(trial) for trial in trials) >= wanted:
        return None
    if not any(trial.user_attrs.get("default") and trial.state.name != "FAIL" for trial in trials):
        study.enqueue_trial(default, user_attrs={"default": True})
    state = np.random.SeedSequence([seed, len(trials)]).generate_state(1)
    first = max(4, min(10, wanted // 3))
    study.sampler = TPESampler(seed=int(state[0]), n_startup_trials=first)
    return study.ask({name: entry.distribution() for name, entry in space.entries.items()})


def counts(trial: "optuna.trial.FrozenTrial") -> bool:
    """Whether a trial is one of those asked for: not one that waits, or died and was queued again."""
    return trial.state.name in ("COMPLETE", "PRUNED", "RUNNING") or "exit" in trial.user_attrs


def pruner(epochs: int) -> "optuna.pruners.BasePruner":
    """Return what ends a trial that is below the median of the finished ones at the same epoch.

    Four trials are finished first, and no trial ends in its first quarter.
    """
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=4, n_warmup_steps=1 + epochs // 4)


def best(study: "optuna.Study") -> "optuna.trial.FrozenTrial | None":
    """Return the finished trial of the highest value, of equal ones the earliest; None where none is."""
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(finished, key=lambda trial: (trial.value, -trial.number), default=None)


def importances(study: "optuna.Study") -> dict[str, float]:
    """Return each parameter's share of the spread of values, most important first; empty where unknown.

    fANOVA (Hutter, Hoos and Leyton-Brown, 2014, "An efficient approach for assessing hyperparameter
    importance") over the finished trials, of which it takes four with different values.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in finished}) < 4:
        return {}
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
