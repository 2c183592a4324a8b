"""Which channels go: those that cost most for what they matter, until the work is done by few enough."""

import numpy as np
from numpy.typing import NDArray

from imgrec.compression.pruning.groups import Groups

LEAST = 0.1
"""Share of a family's channels that stays at least: a network cut through has nothing to learn by."""


def choose(
    found: Groups, importance: NDArray[np.float64], share: float, multiple: int
) -> tuple[NDArray[np.bool_], float]:
    """Return which channels stay, `[U]`, and the share of multiply-accumulates that is then saved.

    Greedy: the least important channels of a family go as many at a time as lead to the next multiple,
    from the family in which that loses the least importance for the work that it saves.

    Args:
        importance: `[U]`, 0 or more, comparable over families.
        share: of the multiply-accumulates to save; less where the families cannot give it.
        multiple: widths to aim at, for kernels compute so many channels at a time; families with few
            channels go by smaller steps.
    """
    macs, sizes = found.macs(), found.sizes
    before = macs.of(sizes)
    ranked = [np.flatnonzero(found.family == family) for family in range(len(sizes))]
    ranked = [members[np.argsort(importance[members], kind="stable")] for members in ranked]
    summed = [np.concatenate([[0.0], np.cumsum(importance[members])]) for members in ranked]
    steps = np.array([step_of(size, multiple) for size in sizes.tolist()], np.int64)
    least = np.maximum(steps, np.ceil(LEAST * sizes)).astype(np.int64)
    left = sizes.copy()
    while macs.of(left) > (1 - share) * before:
        fewer = np.where(left % steps == 0, steps, left % steps)
        saved = macs.saved(left, fewer)
        gone = sizes - left
        may = (left - fewer >= least) & (saved > 0)
        if not may.any():
            break
        lost = [
            total[done + more] - total[done] if ok else 0.0
            for total, done, more, ok in zip(summed, gone, fewer, may, strict=True)
        ]
        cheapest = np.where(may, np.array(lost) / np.where(may, saved, 1.0), np.inf).argmin()
        left[cheapest] -= fewer[cheapest]
    kept = np.ones(len(found.roots), bool)
    for members, size, stay in zip(ranked, sizes.tolist(), left.tolist(), strict=True):
        kept[members[: size - stay]] = False
    return kept, 1 - macs.of(left) / before


def step_of(size: int, multiple: int) -> int:
    """Return by how many channels a family of `size` is narrowed: `multiple`, halved until four fit in."""
    while multiple > 1 and 4 * multiple > size:
        multiple //= 2
    return multiple
