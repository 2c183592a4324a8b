"""A network as plain data, which either Keras can read: steps in JSON, weights in an `.npz`, no pickle."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.errors import InputError

LAYOUT, WEIGHTS = "model.json", "model.npz"
FORMAT = 1


@dataclass(frozen=True)
class Step:
    """One call of one layer.

    name: of the step, unique.
    kind: what it does, a key of `translate.BUILDERS`.
    inputs, outputs: names of values.
    config: what the kind takes, ready for JSON.
    weights: its arrays by role, such as `kernel`; stored as `layer/role`.
    layer: name of the first step that calls the same layer; steps with the same name share weights.
    """

    name: str
    kind: str
    inputs: list[str]
    outputs: list[str]
    config: dict[str, Any] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    layer: str = ""


@dataclass(frozen=True)
class Description:
    """A functional network with one input, float32 `[B, *shape]`, and one output.

    steps: in the order of computation.
    arrays: every weight, `layer/role` → array.
    """

    name: str
    shape: tuple[int, ...]
    input: str
    output: str
    steps: list[Step]
    arrays: dict[str, np.ndarray]

    def of(self, step: Step) -> dict[str, np.ndarray]:
        """Return the weights of a step by role."""
        return {role: self.arrays[f"{step.layer}/{role}"] for role in step.weights}


def write(description: Description, folder: Path) -> None:
    """Write both files into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    layout = {
        "format": FORMAT,
        "name": description.name,
        "shape": list(description.shape),
        "input": description.input,
        "output": description.output,
        "steps": [dataclasses.asdict(step) for step in description.steps],
    }
    (folder / LAYOUT).write_text(json.dumps(layout, indent=1), encoding="utf-8")
    with open(folder / WEIGHTS, "wb") as stream:
        np.savez(stream, **description.arrays)  # type: ignore[arg-type]  # its keywords are arrays


def read(folder: Path) -> Description:
    """Read both files.

    Raises:
        InputError: they were written by another version.
    """
    layout = json.loads((folder / LAYOUT).read_text(encoding="utf-8"))
    if layout.get("format") != FORMAT:
        raise InputError(f"{folder / LAYOUT}: format {layout.get('format')!r}, this version knows {FORMAT}")
    with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    steps = [Step(**step) for step in layout["steps"]]
    return Description(
        layout["name"], tuple(layout["shape"]), layout["input"], layout["output"], steps, arrays
    )
