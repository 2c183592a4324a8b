"""Classes of unequal size: what is done about them, and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from imgrec.errors import InputError
from imgrec.losses import BINARY, build_loss
from imgrec.losses.balance import ClassWeighted, LogitAdjusted, effective_number, inverse_frequency, log_prior
from imgrec.metrics.answers import NOTEWORTHY, ratio
from imgrec.registry import lookup
from imgrec.spec import number_option

RECIPES: dict[str, dict[str, float]] = {
    "none": {},
    "weights": {},
    "effective": {"beta": 0.999},
    "balanced": {},
    "sqrt": {},
    "over": {},
    "under": {},
    "focal": {"gamma": 2.0},
    "logit": {"tau": 1.0},
    "decoupled": {"share": 0.2},
}
"""Every recipe with its options.

none: as the data are. weights, effective: class weights within the loss, by inverse frequency, by the
effective number of samples. balanced, sqrt, over, under: `data.sampling`. focal: its loss. logit: logit
adjustment, with τ = 1 the balanced softmax. decoupled: `learning.decoupled`, its end `share` of the epochs.
"""


@dataclass(frozen=True)
class Balance:
    """What a training does about classes of unequal size.

    recipe: one of `RECIPES`, with the values of its options.
    counts: training images of each class.
    note: a sentence for the user, or empty.
    """

    recipe: str
    counts: tuple[int, ...]
    options: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def sampling(self) -> str:
        """The order of the training images, one of `data.sampling.SAMPLINGS`."""
        return self.recipe if self.recipe in ("balanced", "sqrt", "over", "under") else "natural"

    @property
    def last_sampling(self) -> str:
        """The order at the end of the training, in which a fine-tuning after it goes on."""
        return "balanced" if self.recipe == "decoupled" else self.sampling

    def loss(
        self, build: Callable[[str, float], keras.losses.Loss], spec: str, label_smoothing: float
    ) -> keras.losses.Loss:
        """Return the loss `spec`, as a task's `build` gives it, with what the recipe does to it."""
        if self.recipe == "focal":
            return build_loss("focal", label_smoothing, self.options)
        if self.recipe == "logit":
            prior = self.options["tau"] * log_prior(self.counts)
            return LogitAdjusted(build(spec, 0.0), prior, label_smoothing)
        inner = build(spec, label_smoothing)
        if self.recipe == "weights":
            return ClassWeighted(inner, inverse_frequency(self.counts))
        if self.recipe == "effective":
            return ClassWeighted(inner, effective_number(self.counts, **self.options))
        return inner


def choose(
    recipe: str,
    options: Mapping[str, Any],
    counts: Sequence[int] | np.ndarray,
    classes: Sequence[str],
    loss: str,
) -> Balance:
    """Return the recipe that was asked for, or with `auto` the one that fits.

    Args:
        recipe: auto or one of `RECIPES`.
        options: those that the user gave.
        counts: training images of each class, `[C]`.
        classes: their names, for the note.
        loss: the loss that was asked for, one of `losses.LOSSES`.

    Raises:
        InputError: an unknown recipe or option, a value out of range, or a recipe that does not go with
            the loss.
    """
    numbers = tuple(int(count) for count in counts)
    if recipe == "auto":
        if options:
            raise InputError(f"--imbalance auto takes no options, got {next(iter(options))!r}")
        return _automatic(numbers, classes, loss)
    values = _values(recipe, options)
    if recipe == "focal" and loss not in ("auto", "cross_entropy"):
        raise InputError(f"--imbalance focal is a loss of its own: leave out --loss {loss}")
    if recipe == "logit" and loss in BINARY:
        raise InputError(
            f"--imbalance logit adjusts a softmax, and --loss {loss} has none: use --imbalance weights"
        )
    hint = f"{_measured(numbers, classes)}; --imbalance auto makes the classes count alike"
    return Balance(recipe, numbers, values, hint if recipe == "none" and ratio(numbers) >= NOTEWORTHY else "")


def _automatic(counts: tuple[int, ...], classes: Sequence[str], loss: str) -> Balance:
    """Decide by the ratio, and by whether the loss compares the classes."""
    measured = _measured(counts, classes)
    if ratio(counts) < NOTEWORTHY:
        return Balance("none", counts, {}, f"{measured}: too even to do anything about it")
    if loss in BINARY:
        recipe, why = "weights", f"class weights, for {loss} has no softmax that could be adjusted"
    else:
        recipe, why = "logit", "logit adjustment, which shows no rare image again and again"
    return Balance(recipe, counts, RECIPES[recipe], f"{measured}: {why}")


def _measured(counts: tuple[int, ...], classes: Sequence[str]) -> str:
    large, small = int(np.argmax(counts)), int(np.argmin(counts))
    return (
        f"imbalance: {counts[large]:,} training images of {classes[large]}, {counts[small]:,} of "
        f"{classes[small]} (ratio {ratio(counts):.3g})"
    )


def _values(recipe: str, options: Mapping[str, Any]) -> dict[str, float]:
    """The recipe's options with what the user gave, checked."""
    known = lookup({"auto": {}, **RECIPES}, recipe, "recipe of --imbalance")
    highest = {"beta": 1 - 1e-9, "share": 0.9}
    values = dict(known)
    for name, value in options.items():
        if not known:
            raise InputError(f"--imbalance {recipe} takes no options, got {name!r}")
        lookup(known, name, f"option of --imbalance {recipe}")
        values[name] = number_option(name, value, 0.0, highest.get(name))
    return values
