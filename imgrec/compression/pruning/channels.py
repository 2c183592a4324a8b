"""Structured pruning: whole channels out of a trained network, which is then smaller and dense as before.

Source: Fang et al., "DepGraph", 2023 (arXiv 2301.12900), for what belongs together; Molchanov et al., 2019
(arXiv 1906.10771), for what matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from imgrec.compression.pruning.choose import choose
from imgrec.compression.pruning.groups import Groups, groups, trace
from imgrec.compression.pruning.importance import IMPORTANCES, Batch
from imgrec.compression.pruning.shrink import shrink
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.spec import Value, number_option

CLOSE = 0.02
"""How far below the asked share of multiply-accumulates is still what was asked, as widths come in steps."""


@dataclass(frozen=True)
class Channels:
    """The pruning `channels(macs=.5, importance=taylor, multiple=8)`.

    macs: share of the multiply-accumulates to save.
    importance: a name in `IMPORTANCES`.
    multiple: widths to aim at.
    """

    macs: float = 0.5
    importance: str = "taylor"
    multiple: int = 8

    def check(self, model: keras.Model) -> None:
        """Make sure that so much of `model` can go; quick, and right for an untrained model.

        Raises:
            InputError: it cannot; the message says what stays, and why.
        """
        self._found(model)

    def prune(
        self, model: keras.Model, batches: Sequence[Batch], loss: keras.losses.Loss
    ) -> tuple[keras.Model, dict[str, dict[str, int]]]:
        """Return a smaller copy of a trained `model`, to be fine-tuned, and its widths for `resized`.

        Args:
            model: functional, one input and one output; left as it is.
            batches: training images and targets, on which importance is measured.
            loss: of targets and outputs.

        Raises:
            InputError: as `check`.
        """
        found = self._found(model)
        importance = IMPORTANCES[self.importance](model, found, batches, loss)
        return shrink(model, found, choose(found, importance, self.macs, self.multiple)[0])

    def _found(self, model: keras.Model) -> Groups:
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise InputError(
                f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
                "pruning expects one of each"
            )
        found = groups(trace(model))
        most = 0.0
        if len(found.roots):
            _, most = choose(found, np.zeros(len(found.roots)), 1.0, self.multiple)
        if most < self.macs - CLOSE:
            reasons = list(found.channels.ties.reasons)
            held = f"; whole stays what leads to {', '.join(reasons[:4])}" if reasons else ""
            raise InputError(
                f"--prune: {self.macs:.0%} of the multiply-accumulates of {model.name!r} shall go, and "
                f"{most:.0%} can at most{held}: ask for less"
            )
        return found


def channels(macs: Value = 0.5, importance: Value = "taylor", multiple: Value = 8) -> Channels:
    """Return the pruning that these options ask for.

    Raises:
        InputError: a value that is none of the option's.
    """
    share = number_option("macs", macs, 0.01, 0.99)
    lookup(IMPORTANCES, str(importance), "importance of --prune channels")
    if not isinstance(multiple, int) or isinstance(multiple, bool) or not 1 <= multiple <= 256:
        raise InputError(f"multiple={multiple!r}: expected a whole number from 1 to 256, such as 8")
    return Channels(share, str(importance), multiple)
