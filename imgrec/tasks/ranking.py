"""Classes by their probability, for JSON and for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BAR = 20
"""Characters of the bar of a probability of 1."""


def ranked(row: NDArray[np.floating], classes: Sequence[str], top: int) -> list[dict[str, Any]]:
    """Return `{"label", "probability"}` of the `top` most probable classes; equal ones in their order."""
    best = (-row).argsort(kind="stable")[:top]
    return [{"label": classes[index], "probability": float(row[index])} for index in best]


def ranked_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return a line for each of an answer's predictions: name, per cent, bar."""
    width = max(len(entry["label"]) for entry in answer["predictions"])
    lines = []
    for entry in answer["predictions"]:
        share = entry["probability"]
        bar = "█" * round(BAR * share)
        lines.append(f"  {entry['label']:<{width}}  {100 * share:5.1f} %  {bar}".rstrip())
    return lines


def title_of(target: np.ndarray, classes: Sequence[str]) -> str:
    """Return what an image shows: `cat`, or `cat 0.7 + dog 0.3` of a mixed one; target float32 `[C]`."""
    shown = [k for k in np.argsort(-target, kind="stable") if target[k] >= 0.005]
    if len(shown) == 1:
        return classes[shown[0]]
    return " + ".join(f"{classes[k]} {target[k]:.2g}" for k in shown)
