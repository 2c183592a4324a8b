"""What `--prune` names: ways to prune a trained network, with their options."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from imgrec.compression.pruning.channels import Channels, channels
from imgrec.compression.pruning.sparse import Weights, weights
from imgrec.errors import InputError
from imgrec.registry import build
from imgrec.spec import Spec, number_option

Pruning: TypeAlias = Channels | Weights
PRUNINGS: dict[str, Callable[..., Pruning]] = {"channels": channels, "weights": weights}
"""Every way to prune by its name; its keyword arguments are the options."""
EPOCHS = 10
"""Of the fine-tuning, unless said."""
SHARE_OF_RATE = 1 / 3
"""Its peak rate, unless said, as a share of the training's."""


@dataclass(frozen=True)
class Asked:
    """A pruning, and the fine-tuning that follows it.

    name: in `PRUNINGS`.
    epochs: of the fine-tuning.
    rate: its peak; 0: a share of the training's.
    """

    name: str
    pruning: Pruning
    epochs: int = EPOCHS
    rate: float = 0.0


def read(text: str) -> Asked | None:
    """Return what `text` asks for: a name with options, or a number, the share of MACs to save; or None.

    Raises:
        InputError: an unknown name or option, or a value that is none of its.
    """
    if text == "none":
        return None
    plain = re.fullmatch(r"\s*[\d.]+\s*", text)
    spec = Spec.named(f"channels(macs={text})" if plain else text, "--prune")
    options = dict(spec.options)
    epochs = options.pop("epochs", EPOCHS)
    rate = number_option("rate", options.pop("rate", 0.0), 0.0)
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
        raise InputError(f"--prune {text}: epochs={epochs!r}: expected 1 or more")
    try:
        pruning = build(PRUNINGS, spec.name, "pruning", options)
    except InputError as error:
        raise InputError(f"--prune {text}: {error}") from None
    return Asked(spec.name, pruning, epochs, rate)


def epochs(text: str) -> int:
    """Return how many epochs of fine-tuning a pruning brings; 0 without one."""
    asked = read(text)
    return asked.epochs if asked else 0
