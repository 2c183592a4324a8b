"""What adaptive preprocessing is worth: the same model's answers with the steps and without them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from imgrec.metrics import paired
from imgrec.phrases import Phrase


def judge(on: np.ndarray, off: np.ndarray, fired: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Compare the answers to the same images with the adaptive steps and without.

    Args:
        on: bool `[N]`, whether the answer is right with the steps.
        off: the same without them.
        fired: names of the steps that each image triggered, `[N]`.

    Returns:
        `all` and `triggered` (any step fired): images, accuracy and accuracy_off; the same of each step
        in `steps`, with its `name`; gained and lost, the images that are right only with, or only
        without the steps; p_value, the exact two-sided sign test on these (McNemar, 1947; binomial of
        ½); and verdict, one sentence.

    Raises:
        ValueError: counts that differ.
    """
    if not len(on) == len(off) == len(fired):
        raise ValueError(f"answers to {len(on)} and {len(off)} images, triggers of {len(fired)}")
    gained, lost = int((on & ~off).sum()), int((off & ~on).sum())
    names = sorted({name for steps in fired for name in steps})
    groups = {name: np.array([name in steps for steps in fired], bool) for name in names}
    p_value = paired.mcnemar(gained, lost)
    return {
        "all": _group(on, off, np.ones(len(on), bool)),
        "triggered": _group(on, off, np.array([bool(steps) for steps in fired], bool)),
        "steps": [{"name": name, **_group(on, off, group)} for name, group in groups.items()],
        "gained": gained,
        "lost": lost,
        "p_value": p_value,
        "verdict": _verdict(gained, lost, p_value),
    }


def _group(on: np.ndarray, off: np.ndarray, group: np.ndarray) -> dict[str, Any]:
    """Return the accuracies of a group of images; None where it is empty."""
    count = int(group.sum())
    means = [float(right[group].mean()) if count else None for right in (on, off)]
    return {"images": count, "accuracy": means[0], "accuracy_off": means[1]}


def _verdict(gained: int, lost: int, p_value: float) -> Phrase:
    if not gained + lost:
        return Phrase("The steps changed no answer from right to wrong or back.")
    counts = Phrase("{gained} images right only with them, {lost} only without", gained=gained, lost=lost)
    if p_value > paired.SIGNIFICANT:
        return Phrase("No difference that these images could tell from chance: {counts}.", counts=counts)
    if gained > lost:
        return Phrase("The steps raise the accuracy: {counts}.", counts=counts)
    return Phrase("The steps lower the accuracy: {counts}.", counts=counts)
