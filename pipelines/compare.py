"""Which of several runs is better, and which differences are none: `python -m pipelines.compare RUN RUN…`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """Say which of several runs is better, and where the images show no difference.

  python -m pipelines.compare saved_models/resnet18 saved_models/lite0
  python -m pipelines.compare saved_models/*.evaluations/new-all --json

Runs are compared by their answers to the same test images: an image that one gets right and the other wrong
counts, others say nothing. A difference is called one where McNemar's exact test has p below .05, raised by
Holm's method for as many pairs as there are. In brackets: the 95 % interval. Balanced accuracy and log loss
are held against each other by drawing the same images anew for both (bootstrap), where every class has five
images and both are wrong on five. Runs that were tested on other
images are first measured on one set by python -m pipelines.evaluate, and its folders are named here."""


@dataclass(frozen=True)
class Arguments:
    """What to compare."""

    runs: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN…", help_behavior_hint="")
    ]
    """Folders of finished runs, or of evaluations; two or more."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON and nothing else."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags, compare, print."""
    arguments = parse(Arguments, argv, prog="python -m pipelines.compare", description=DESCRIPTION)
    from imgrec.runs.comparing import compare

    found = compare(arguments.runs)
    if arguments.json:
        print_json(found.record())
    else:
        print(found)
    return 0


if __name__ == "__main__":
    guarded(main)
