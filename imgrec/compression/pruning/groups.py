"""The channels of a model that can be removed, those that behave alike side by side, and what they cost."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from imgrec.compression.graph import expand
from imgrec.compression.pruning.rules import rule_of
from imgrec.compression.pruning.tracer import Channels, Tracer
from imgrec.compression.pruning.units import WHOLE, Labels


def trace(model: keras.Model) -> Channels:
    """Follow the channels of a functional model of one input and one output, which is left as it is."""
    graph, tracer = expand(model), Tracer(model)
    for step in graph.steps:
        tracer.put(step, rule_of(step)(tracer, step, [tracer.labels(each) for each in step.inputs]))
    tracer.found.ties.keep(tracer.labels(graph.output), "the model's answers")
    return tracer.found


@dataclass(eq=False)
class Groups:
    """Every channel that can be removed, as one of some layer's or of layers that are tied together.

    channels: the traced model.
    roots: `[U]`, the label that stands for each.
    family: `[U]`, for each the number of its family, 0…F - 1: channels that lie in the same places.
    """

    channels: Channels
    roots: Labels
    family: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many channels each family has, `[F]`."""
        return np.bincount(self.family)

    def index(self, labels: Labels) -> NDArray[np.int64]:
        """Return for each label the position of its channel in `roots`; -1 where it stays."""
        roots = self.channels.ties.roots(labels)
        if not len(self.roots):
            return np.full(roots.shape, -1)
        found = np.searchsorted(self.roots, roots).clip(max=len(self.roots) - 1)
        return np.where(self.roots[found] == roots, found, -1)

    def count(self, labels: Labels) -> NDArray[np.float64]:
        """Return how many of the labels a channel of each family has, and last, how many stay: `[F + 1]`."""
        index = self.index(labels)
        of = np.where(index >= 0, self.family[index] if len(self.roots) else 0, len(self.sizes))
        counted = np.bincount(of, minlength=len(self.sizes) + 1).astype(float)
        counted[:-1] /= self.sizes
        return counted

    def macs(self) -> "Macs":
        """Return what multiply-accumulates depend on."""
        nothing = np.zeros(len(self.sizes) + 1)
        one = np.append(nothing[:-1], 1.0)
        work = self.channels.work
        return Macs(
            np.array([each.cost for each in work]),
            np.stack([one if each.reads is None else self.count(each.reads) for each in work]),
            np.stack([one if each.gives is None else self.count(each.gives) for each in work]),
        )


@dataclass(eq=False)
class Macs:
    """Multiply-accumulates of one image as a function of how many channels each family has.

    cost `[S]`; reads, gives `[S, F + 1]`: per channel of each family, and constant.
    """

    cost: NDArray[np.float64]
    reads: NDArray[np.float64]
    gives: NDArray[np.float64]

    def of(self, sizes: NDArray[np.int64]) -> float:
        """Return them for families of these sizes, `[F]`."""
        full = np.append(sizes, 1)
        return float((self.cost * (self.reads @ full) * (self.gives @ full)).sum())

    def saved(self, sizes: NDArray[np.int64], fewer: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each family saves alone, `[F]`, where it loses `fewer` channels of its `sizes`."""
        full = np.append(sizes, 1)
        reads, gives = (self.reads @ full)[:, None], (self.gives @ full)[:, None]
        after = (reads - self.reads[:, :-1] * fewer) * (gives - self.gives[:, :-1] * fewer)
        return (self.cost[:, None] * (reads * gives - after)).sum(axis=0)


def groups(channels: Channels) -> Groups:
    """Sort the channels into families: those that lie along the same axes of the same weights."""
    places: dict[int, list[tuple[int, int]]] = {}
    for number, cut in enumerate(channels.cuts.values()):
        labels, times = np.unique(channels.ties.roots(cut.labels), return_counts=True)
        for label, count in zip(labels.tolist(), times.tolist(), strict=True):
            places.setdefault(label, []).append((number, count))
    places.pop(WHOLE, None)
    roots = sorted(places)
    families: dict[tuple[tuple[int, int], ...], int] = {}
    family = [families.setdefault(tuple(places[root]), len(families)) for root in roots]
    return Groups(channels, np.array(roots, np.int64), np.array(family, np.int64))
