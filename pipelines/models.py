"""The zoo as a table, one architecture in figures, and an image of it: `python -m pipelines.models`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """The models that imgrec can train, and what each of them costs.

  python -m pipelines.models                       the zoo as a table
  python -m pipelines.models --json                the same for programs
  python -m pipelines.models describe resnet50     its endpoints and their cost
  python -m pipelines.models describe "resnet20(attention=cbam)" --out net.svg    and an image of it

Parameters and multiply-accumulates (MACs) are those of the default size and number of classes."""


@dataclass(frozen=True)
class Arguments:
    """Which models, and what about them."""

    command: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[describe NAME]", help_behavior_hint="")
    ] = ()
    """Nothing for the table, or `describe` and a model's name, with options in brackets."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON and nothing else."""
    image_size: int = 0
    """With describe: side of the input in pixels; 0 takes the model's own."""
    classes: int = 0
    """With describe: number of classes; 0 takes the model's own."""
    out: Path = Path()
    """With describe: an image to draw, .png, .svg or .pdf; without it nothing is written."""


def run(arguments: Arguments) -> int:
    """Print the table, or describe and draw one model; return the exit code, 0.

    Raises:
        InputError: an unknown command, model, option or image format.
    """
    from imgrec.evaluation.architecture import check_path

    given = arguments.command
    if given and (given[0] != "describe" or len(given) != 2):
        raise InputError(f"got {' '.join(given)!r}, expected nothing or: describe NAME")
    drawn = arguments.out != Path()
    if drawn and not given:
        raise InputError(f"--out {arguments.out}: draws one model, expected also: describe NAME")
    if drawn:
        check_path(arguments.out)
    import_frameworks()
    from imgrec.runs import zoo

    found = zoo.describe(given[1], arguments.image_size, arguments.classes) if given else None
    if found and drawn:
        found.draw(given[1], arguments.out)
    if arguments.json:
        print_json(found.record() if found else zoo.records())
    else:
        print("\n".join([str(found or zoo.table()), *([f"image: {arguments.out}"] if drawn else [])]))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    return run(parse(Arguments, argv, prog="python -m pipelines.models", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
