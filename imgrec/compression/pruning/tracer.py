"""Follow every channel of a model from the layer that makes it to all that read it.

Each tensor has a label for each of its elements, the channel that it comes from, and the graph's own
operations move the labels as they move values: concatenations, flattenings, windows and rolls need no rules.
Additions and products tie channels; what mixes channels in a way that depends on how many there are (layer
normalisation, attention, a mean over channels) leaves them whole.

Source: Fang et al., "DepGraph: Towards Any Structural Pruning", 2023 (arXiv 2301.12900), § 3, whose groups
these are.
"""

from dataclasses import dataclass, field

import keras
import numpy as np

from imgrec.compression.graph import Step
from imgrec.compression.pruning.units import Cut, Labels, Ties, Work
from imgrec.layers.composite import Composite
from imgrec.models.widths import ARGUMENTS


@dataclass(eq=False)
class Channels:
    """The channels of a model, and where they are.

    ties: which labels are one channel.
    cuts: every axis of a weight that channels lie along, by the ids of variable and axis.
    work: what each call costs.
    widths: (layer, constructor argument) → the labels that the argument counts.
    """

    ties: Ties = field(default_factory=Ties)
    cuts: dict[tuple[int, int], Cut] = field(default_factory=dict)
    work: list[Work] = field(default_factory=list)
    widths: dict[tuple[str, str], Labels] = field(default_factory=dict)


def channels_of(labels: Labels) -> Labels | None:
    """Return the labels along the last axis, `[C]`; None where they are not the same everywhere."""
    row = np.broadcast_to(labels, labels.shape)[(0,) * (labels.ndim - 1)]
    return row if (_narrow(labels) == (row if labels.strides[-1] else row[:1])).all() else None


class Tracer:
    """A walk over a model's steps; `rules.RULES` say what each does with the labels of its inputs."""

    def __init__(self, model: keras.Model) -> None:
        self.found = Channels()
        self.layers = {layer.name: layer for layer in model.layers}
        self._composites = [name for name, layer in self.layers.items() if isinstance(layer, Composite)]
        self._made: dict[int, Labels] = {}  # by the id of a layer: a shared one gives the same channels
        self._of: dict[int, Labels] = {}

    def labels(self, tensor: keras.KerasTensor) -> Labels:
        """Return the labels of a tensor that was computed already; pixels stay."""
        if id(tensor) not in self._of:
            self._of[id(tensor)] = np.zeros((1, *tensor.shape[1:]), np.int64)
        return self._of[id(tensor)]

    def put(self, step: Step, outputs: list[Labels]) -> None:
        """Note the labels of what a step gives; labels that are no whole slices of one axis stay."""
        for tensor, labels in zip(step.outputs, outputs, strict=True):
            if _varying(labels) > 1:
                self.keep(labels, step)
                labels = np.zeros_like(labels)
            self._of[id(tensor)] = labels

    def keep(self, labels: Labels, step: Step) -> None:
        """Leave these channels whole, because of this step."""
        self.found.ties.keep(labels, f"{step.name} ({type(step.operation).__name__})")

    def cut(self, variable: keras.Variable, axis: int, labels: Labels, *, reads: bool = False) -> None:
        """Note that `labels` lie along an axis of a weight; a layer called twice ties those of both calls."""
        known = self.found.cuts.setdefault((id(variable), axis), Cut(variable, axis, labels, reads))
        if known.labels is not labels:
            self.found.ties.tie(known.labels, labels)

    def made(self, step: Step, count: int) -> Labels:
        """Return the labels of what a layer with weights makes: new ones, or 0 where it stays."""
        layer = step.operation
        if id(layer) not in self._made:
            home, argument, gate = self._width_of(step)
            free = argument or gate
            self._made[id(layer)] = self.found.ties.new(count) if free else np.zeros(count, np.int64)
            if argument:
                self.found.widths[home, argument] = self._made[id(layer)]
        return self._made[id(layer)]

    def _width_of(self, step: Step) -> tuple[str, str, bool]:
        """Return the model's layer that a step is of, the argument for its width, if it is a gate."""
        if step.name in self.layers:
            return step.name, ARGUMENTS.get(type(step.operation).__name__, ""), False
        home = self.composite_of(step)
        layer, inner = self.layers.get(home), step.name[len(home) + 1 :]
        if not isinstance(layer, Composite):
            return home, "", False
        return home, layer.widths.get(inner, ""), inner in layer.gates

    def composite_of(self, step: Step) -> str:
        """Return the composite layer of the model that a step was unfolded from; empty if none."""
        within = [name for name in self._composites if step.name.startswith(f"{name}_")]
        return "" if step.name in self.layers else max(within, key=len, default="")


def _narrow(labels: Labels) -> Labels:
    """Without the repetitions of a broadcast array, which cost no memory and shall cost no time."""
    return labels[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in labels.strides)]


def _varying(labels: Labels) -> int:
    """Return along how many axes labels differ."""
    labels = _narrow(labels)
    return sum(bool((labels != labels.take([0], axis)).any()) for axis in range(labels.ndim))
