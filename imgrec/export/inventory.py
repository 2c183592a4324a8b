"""What a TFLite file consists of, what memory it takes, and what of it an accelerator would not run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgrec.export.delegates import unfriendly
from imgrec.export.inspect import Operator, describe

_ALIGNMENT = 64  # bytes, TFLite's `kDefaultTensorAlignment`


@dataclass(frozen=True)
class Inventory:
    """A file from inside.

    operators: how many of which, the most frequent first.
    arena_kilobytes: memory of the tensors between the operators, as TFLite's planner lays them out; weights
        and the scratch space of single operators are not in it.
    not_on_gpu: operators that TFLite's GPU delegate leaves to the processor, and how many.
    not_by_nnapi: the same of NNAPI.
    """

    operators: dict[str, int]
    arena_kilobytes: float
    not_on_gpu: dict[str, int]
    not_by_nnapi: dict[str, int]

    def lines(self) -> list[str]:
        """Return it in words, two lines."""
        left = [
            f"not {where}: {_counted(found) if found else 'none'}"
            for where, found in (("on the GPU", self.not_on_gpu), ("by NNAPI", self.not_by_nnapi))
        ]
        return [
            f"{sum(self.operators.values())} operators ({_counted(self.operators)})",
            f"{self.arena_kilobytes:,.0f} KB of memory between them; {'; '.join(left)}",
        ]


def _counted(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.items())


def take(path: str | Path) -> Inventory:
    """Return the inventory of a TFLite file; needs no TensorFlow."""
    operators = describe(path)
    counted = Counter(operator.name for operator in operators)
    gpu, nnapi = unfriendly(operators)
    return Inventory(dict(counted.most_common()), arena_bytes(operators) / 1000, gpu, nnapi)


def arena_bytes(operators: Sequence[Operator]) -> int:
    """Return the bytes in which all tensors between the operators find place, one image at a time.

    Laid out as TFLite does: the largest first, each into the lowest gap that no tensor alive at the same time
    overlaps (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, § 5.3
    "greedy by size for offset calculation"). Input and output stay alive throughout.
    """
    placed: list[tuple[int, int, int, int]] = []  # first and last operator, offset, size
    for size, first, last in sorted(_lives(operators), key=lambda life: -life[0]):
        offset = 0
        for _, _, start, taken in sorted(
            (p for p in placed if p[0] <= last and first <= p[1]), key=lambda p: p[2]
        ):
            if offset + size <= start:
                break
            offset = max(offset, start + taken)
        placed.append((first, last, offset, size))
    return max((offset + size for _, _, offset, size in placed), default=0)


def _lives(operators: Sequence[Operator]) -> list[tuple[int, int, int]]:
    """Return aligned bytes, first and last operator of each tensor that is made, and of the input."""
    made = {tensor.index: at for at, operator in enumerate(operators) for tensor in operator.outputs}
    sizes, last = {}, {}
    for at, operator in enumerate(operators):
        for tensor in (*operator.inputs, *operator.outputs):
            if tensor.index in made or (at == 0 and tensor is operator.inputs[0]):
                made.setdefault(tensor.index, 0)
                last[tensor.index] = at
                size = int(np.prod(tensor.shape, dtype=np.int64)) * np.dtype(tensor.dtype).itemsize
                sizes[tensor.index] = -(-size // _ALIGNMENT) * _ALIGNMENT
    end = len(operators) - 1
    ends = {operators[0].inputs[0].index: (0, end)} if operators else {}
    ends |= {tensor.index: (made[tensor.index], end) for tensor in operators[-1].outputs} if operators else {}
    return [(sizes[index], *ends.get(index, (made[index], last[index]))) for index in sizes]
