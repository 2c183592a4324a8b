"""The zoo as a table, and an image of one architecture: `python -m pipelines.models`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import tyro

from imgrec.config.renamed import refuse_flags
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.spec import Spec
from pipelines.cli import guarded, parse

if TYPE_CHECKING:
    from imgrec.models.architecture import Architecture

DESCRIPTION = """The models that imgrec can train, and what each of them costs.

  python -m pipelines.models                       the zoo as a table
  python -m pipelines.models --json                the same for programs
  python -m pipelines.models describe resnet50     its endpoints, and an image of it
  python -m pipelines.models describe "resnet20(attention=cbam)"

Parameters and multiply-accumulates (MACs) are those of the default size and number of classes."""
FORMATS = (".png", ".svg", ".pdf")


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
    """With describe: the image to write, .png, .svg or .pdf; by default NAME.png in this folder."""


def run(arguments: Arguments) -> int:
    """Print the table, or describe one model; return the exit code, 0.

    Raises:
        InputError: an unknown command, model, option or image format.
    """
    if not arguments.command:
        import_frameworks()
        from imgrec.models import MODELS

        rows = [facts(row) for row in MODELS.values()]
        print(json.dumps(rows, indent=2, ensure_ascii=False) if arguments.json else table(rows))
        return 0
    if arguments.command[0] != "describe" or len(arguments.command) != 2:
        raise InputError(f"got {' '.join(arguments.command)!r}, expected nothing or: describe NAME")
    return describe(arguments, Spec.named(arguments.command[1], "describe"))


def facts(row: "Architecture") -> dict[str, Any]:
    """One model's facts, ready for JSON."""
    return {
        "name": row.name,
        "parameters": row.parameters,
        "macs": row.macs,
        "image_size": row.image_size,
        "min_size": row.min_size,
        "channels": row.channels,
        "num_classes": row.num_classes,
        "endpoints": list(row.endpoints),
        "options": row.options,
        "source": row.source,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The zoo, one line a model."""
    titles = ("model", "parameters", "MACs", "size", "classes", "endpoints", "source")
    lines = [titles] + [
        (
            row["name"],
            f"{row['parameters']:,}",
            f"{row['macs'] / 1e6:,.1f} M",
            f"{row['image_size']} px",
            str(row["num_classes"]),
            " ".join(_shortened(row["endpoints"])),
            row["source"],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    right = {1, 2, 3, 4}
    text = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*text, f"{len(rows)} models; python -m pipelines.models describe NAME shows one"])


def _shortened(endpoints: Sequence[str]) -> list[str]:
    """`stage1` to `stage12` as `stage1…12`."""
    stages = [name for name in endpoints if name.startswith("stage")]
    run = f"{stages[0]}…{len(stages)}" if len(stages) > 1 else stages[0]
    return ["stem", run, "features", "logits"]


def describe(arguments: Arguments, spec: Spec) -> int:
    """Build the model, print its endpoints and draw it."""
    name = spec.name
    out = arguments.out if arguments.out != Path() else Path(f"{name}.png")
    if out.suffix not in FORMATS:
        raise InputError(f"--out {out}: expected a name that ends in {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.parent} does not exist")
    import_frameworks()
    from imgrec.compression.cost import parts
    from imgrec.evaluation.architecture import draw
    from imgrec.models import build_model, info

    row = info(name)
    side = arguments.image_size or row.image_size
    shape = (side, side, row.channels)
    classes = arguments.classes or row.num_classes
    model = build_model(name, shape, classes, **spec.options)
    found = parts(model, row.endpoints)
    parameters, macs = sum(part.parameters for part in found), sum(part.macs for part in found)
    endpoints = [
        {"name": p.name, "shape": list(p.shape), "parameters": p.parameters, "macs": p.macs} for p in found
    ]
    if arguments.json:
        whole = {"parameters": parameters, "macs": macs, "input_shape": list(shape), "num_classes": classes}
        print(json.dumps({**facts(row), **whole, "endpoints": endpoints}, indent=2, ensure_ascii=False))
        return 0
    draw(
        str(spec),
        f"{parameters:,} trainable parameters, {macs / 1e6:,.1f} M multiply-accumulates\n{row.source}",
        shape,
        found,
        out,
    )
    print(f"{name}: {row.source}\n")
    print(f"{'endpoint':<10}{'shape':>18}{'parameters':>16}{'MACs':>12}")
    for part in found:
        sides = " × ".join(map(str, part.shape))
        print(f"{part.name:<10}{sides:>18}{part.parameters:>16,}{part.macs / 1e6:>10,.1f} M")
    print(f"{'total':<28}{parameters:>16,}{macs / 1e6:>10,.1f} M\n")
    defaults = ", ".join(f"{key}={value}" for key, value in row.options.items())
    print(f"options: {defaults or 'none'}; at least {row.min_size} px")
    print(f"image: {out}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run it."""
    words = list(sys.argv[1:] if argv is None else argv)
    rest = words[words.index("describe") + 1 :] if "describe" in words else []
    name = next((word for word in rest if not word.startswith("-")), "NAME")
    refuse_flags(words, {"model": name}, "describe")
    return run(parse(Arguments, words, prog="python -m pipelines.models", description=DESCRIPTION))


def entry() -> NoReturn:
    """Run as a program."""
    guarded(main)


if __name__ == "__main__":
    entry()
