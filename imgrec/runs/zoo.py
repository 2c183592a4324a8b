"""The zoo as a table, and what one of its models costs, endpoint by endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec.compression.cost import Part, parts
from imgrec.evaluation import architecture
from imgrec.models import MODELS, build_model, info
from imgrec.models.architecture import Architecture, Shape
from imgrec.spec import Spec

FACTS = (
    "name", "parameters", "macs", "image_size", "min_size", "channels", "num_classes", "endpoints", "options",
    "source",
)  # fmt: skip


def facts(row: Architecture) -> dict[str, Any]:
    """One model's facts, ready for JSON."""
    return {name: getattr(row, name) for name in FACTS}


def records() -> list[dict[str, Any]]:
    """The facts of every model."""
    return [facts(row) for row in MODELS.values()]


def table() -> str:
    """The zoo, one line a model."""
    lines = [("model", "parameters", "MACs", "size", "classes", "endpoints", "source")]
    for row in MODELS.values():
        figures = f"{row.parameters:,}", _millions(row.macs), f"{row.image_size} px", str(row.num_classes)
        lines.append((row.name, *figures, " ".join(_shortened(row.endpoints)), row.source))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            cell.rjust(width) if 1 <= column <= 4 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*text, f"{len(MODELS)} models; python -m pipelines.models describe NAME shows one"])


def _millions(macs: int) -> str:
    return f"{macs / 1e6:,.1f} M"


def _shortened(endpoints: Sequence[str]) -> list[str]:
    """`stage1` to `stage12` as `stage1…12`."""
    stages = [name for name in endpoints if name.startswith("stage")]
    run = f"{stages[0]}…{len(stages)}" if len(stages) > 1 else stages[0]
    return ["stem", run, "features", "logits"]


@dataclass(frozen=True)
class Described:
    """One model as it was built, and the cost of its parts."""

    row: Architecture
    shape: Shape
    num_classes: int
    parts: list[Part]

    @property
    def cost(self) -> tuple[int, int]:
        """Trainable parameters and multiply-accumulates of the whole."""
        return sum(part.parameters for part in self.parts), sum(part.macs for part in self.parts)

    def record(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        parameters, macs = self.cost
        whole = {"parameters": parameters, "macs": macs, "input_shape": self.shape}
        endpoints = [part._asdict() for part in self.parts]
        return {**facts(self.row), **whole, "num_classes": self.num_classes, "endpoints": endpoints}

    def __str__(self) -> str:
        """The endpoints as a table, and the options that the model takes."""
        lines = [f"{self.row.name}: {self.row.source}\n"]
        lines.append(f"{'endpoint':<10}{'shape':>18}{'parameters':>16}{'MACs':>12}")
        for part in self.parts:
            sides = " × ".join(map(str, part.shape))
            lines.append(f"{part.name:<10}{sides:>18}{part.parameters:>16,}{_millions(part.macs):>12}")
        lines.append(f"{'total':<28}{self.cost[0]:>16,}{_millions(self.cost[1]):>12}\n")
        defaults = ", ".join(f"{key}={value}" for key, value in self.row.options.items())
        return "\n".join([*lines, f"options: {defaults or 'none'}; at least {self.row.min_size} px"])

    def draw(self, title: str, path: Path) -> None:
        """Write an image of it; the ending of `path` (.png, .svg, .pdf) chooses the format."""
        cost = f"{self.cost[0]:,} trainable parameters, {_millions(self.cost[1])} multiply-accumulates"
        architecture.draw(title, f"{cost}\n{self.row.source}", self.shape, self.parts, path)


def describe(spec: str, side: int = 0, num_classes: int = 0) -> Described:
    """Build the model `spec`, of its own size and number of classes where they are 0, and count its cost.

    Raises:
        InputError: an unknown model or option, or a size that it refuses.
    """
    asked = Spec.named(spec, "model")
    row = info(asked.name)
    side, num_classes = side or row.image_size, num_classes or row.num_classes
    shape = (side, side, row.channels)
    model = build_model(asked.name, shape, num_classes, **asked.options)
    return Described(row, shape, num_classes, parts(model, row.endpoints))
