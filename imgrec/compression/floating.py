"""Parts of a model that stay float32 in its int8 file: which they are, and what they cost."""

import difflib
import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from imgrec.compression.cost import home_of, macs_of
from imgrec.compression.operations import Op
from imgrec.errors import InputError

COMPUTES = ("conv", "depthwise", "dense", "matmul")
"""Kinds of operation that can stay float32 by themselves, and take nearly all of the time."""
SHOWN = 6
"""Names in a line, at most."""
_ENDPOINT = re.compile(r"stem|stage\d+|features|logits")


def resolve(model: keras.Model, found: Sequence[Op], asked: Sequence[str]) -> frozenset[str]:
    """Return the names of the operations in the parts that `asked` names.

    Args:
        model: that the operations are of.
        found: its operations.
        asked: endpoints (each stands for all from the endpoint before it), or patterns (`stage1_*`) for names
            of layers or of operations within them.

    Raises:
        InputError: a name of nothing, or of a part in which nothing computes with int8 weights.
    """
    layers = [layer.name for layer in model.layers]
    known = frozenset(layers)
    homes = {op.name: home_of(op.name, known) for op in found}
    chosen: set[str] = set()
    for name in asked:
        within = _part(name, layers)
        hit = {
            op.name
            for op in found
            if (homes[op.name] in within if within else _fits(name, op.name, homes[op.name]))
        }
        if not hit:
            ends = [layer for layer in layers if _ENDPOINT.fullmatch(layer)]
            close = difflib.get_close_matches(name, [*ends, *layers], n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InputError(f"float={name}: no part of {model.name!r}; {hint}endpoints: {', '.join(ends)}")
        if not any(op.kind in COMPUTES for op in found if op.name in hit):
            raise InputError(
                f"float={name}: holds no convolution, dense layer or matrix product; name a part that does"
            )
        chosen |= hit
    return frozenset(chosen)


def _part(name: str, layers: list[str]) -> frozenset[str]:
    """The layers of the endpoint `name`, after the endpoint before it; none if it is no endpoint."""
    if not _ENDPOINT.fullmatch(name) or name not in layers:
        return frozenset()
    stop = layers.index(name)
    start = max((at for at in range(stop) if _ENDPOINT.fullmatch(layers[at])), default=-1)
    return frozenset(layers[start + 1 : stop + 1])


def _fits(pattern: str, operation: str, layer: str) -> bool:
    return fnmatch.fnmatchcase(operation, pattern) or fnmatch.fnmatchcase(layer, pattern)


@dataclass(frozen=True)
class Cost:
    """What the parts that stay float32 cost.

    names: of the operations that compute, in order.
    share: of all multiply-accumulates, 0 to 1.
    kilobytes: by which their weights are larger than in int8.
    """

    names: tuple[str, ...]
    share: float
    kilobytes: float

    def line(self, float_ms: float, ms: float) -> str:
        """Return it in words.

        Args:
            float_ms: what an image takes in the file that is float32 altogether.
            ms: what it takes in this one.
        """
        left = len(self.names) - SHOWN
        shown = ", ".join(self.names[:SHOWN]) + (f" and {left} more" if left > 0 else "")
        return (
            f"float32 parts: {shown}: {self.share:.1%} of the multiply-accumulates, {self.kilobytes:,.1f} KB"
            f" and, by these shares, about {self.milliseconds(float_ms, ms):.2f} ms more than in int8"
        )

    def milliseconds(self, float_ms: float, ms: float) -> float:
        """Return how much slower the parts are than in int8, if time goes by multiply-accumulates.

        The file's time is `share` of the float32 file's, and the rest of an int8 file's, which follows.
        """
        if self.share >= 1:
            return 0.0
        int8_ms = max(0.0, (ms - self.share * float_ms) / (1 - self.share))
        return max(0.0, self.share * (float_ms - int8_ms))


def cost(found: Sequence[Op], left_float: frozenset[str], bits: int = 8) -> Cost | None:
    """Return what stays float32 among the operations and its cost; None where nothing does.

    Args:
        found: operations of a model whose input size is known, before or after folding.
        left_float: names, as `resolve` gives them.
        bits: of the kernels otherwise.
    """
    computing = [op for op in found if op.kind in COMPUTES]
    kept = [op for op in computing if op.name in left_float]
    if not kept:
        return None
    macs: Mapping[str, int] = {op.name: macs_of(op.step) for op in computing if op.step is not None}
    weights = sum(int(np.size(op.options["kernel"])) for op in kept if "kernel" in op.options)
    share = sum(macs[op.name] for op in kept) / max(1, sum(macs.values()))
    return Cost(tuple(op.name for op in kept), share, weights * (32 - bits) / 8 / 1000)
