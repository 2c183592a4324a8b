"""Search for better settings, one process a trial: `python -m pipelines.tune --trials 20 --data FOLDER`."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from imgrec.config import Config
from pipelines.cli import guarded, parse, take_recipe

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


def run(arguments: Arguments, command: str = "") -> int:
    """Run the trials that are left, and say which was best; return the exit code.

    Raises:
        InputError: bad settings, space or storage.
    """
    from imgrec.runs.search.plan import begin
    from imgrec.runs.search.results import finish
    from imgrec.runs.search.trials import run_trials

    search = begin(arguments.config, arguments.trials, arguments.space, arguments.storage, arguments.study)
    return run_trials(search) or finish(search, command)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    recipe, rest = take_recipe(words)
    options = {"prog": "python -m pipelines.tune", "description": DESCRIPTION}
    arguments = parse(Arguments, rest, default=Arguments(config=recipe.replace(out=OUT)), **options)
    return run(arguments, shlex.join(["python", "-m", "pipelines.tune", *words]))


if __name__ == "__main__":
    guarded(main)
