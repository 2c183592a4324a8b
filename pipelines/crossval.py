"""Cross-validate settings, one process a fold: `python -m pipelines.crossval --folds 5 --data FOLDER`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from imgrec.config import Config
from pipelines.cli import guarded, parse, take_recipe

DESCRIPTION = """Train once a fold, and say how well the settings do on images that each model has never seen.

  python -m pipelines.crossval --folds 5 --data photos/ --out saved_models/photos_folds

Takes every flag of pipelines.train, and --recipe. The folds divide the training and validation images,
stratified, by --seed; copies of an image stay together. A tenth of what a fold leaves chooses its epoch, so
that what it holds out chooses nothing. The test split stays apart, and every fold's model is measured on it;
--fold-over all divides all images instead.

OUT/crossval.json has means and 95 % intervals (Student's t over the folds), OUT/out_of_fold.csv every
image's probabilities from the model that did not see it, OUT/fold-1 and so on the runs. A finished fold is
not trained again: after an interruption give the same command. Folds are not quantised unless --quantize
says so. Exit codes are train's; a fold that fails ends the command with its own."""

OUT = "saved_models/crossval"


@dataclass(frozen=True)
class Arguments:
    """How many folds, and the settings of each training."""

    folds: int = 5
    """How many folds, 2 or more."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    recipe, rest = take_recipe(words)
    start = Arguments(config=recipe.replace(out=OUT, quantize="none"))
    options = {"prog": "python -m pipelines.crossval", "description": DESCRIPTION}
    arguments = parse(Arguments, rest, default=start, **options)
    from imgrec.runs.crossval import cross_validate

    command = " ".join(["python -m pipelines.crossval", *words])
    return cross_validate(arguments.config, arguments.folds, command)


if __name__ == "__main__":
    guarded(main)
