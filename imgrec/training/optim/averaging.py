"""Averages of the weights in place of the weights: validated, kept and exported, trained on beside them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from imgrec.config import OptimConfig
from imgrec.training.batch_statistics import estimate, put_statistics
from imgrec.training.optim.optimizers import raw
from imgrec.training.optim.update_rules import Rule
from imgrec.training.phase import Phase

STATISTICS_BATCHES = 32
"""Training batches at most on which the statistics of batch normalisation are measured for SWA."""


def reserve(optimizer: keras.optimizers.Optimizer, model: keras.Model, optim: OptimConfig) -> None:
    """Give a built optimiser the variables that `Averaging` works with, which are saved with it.

    `swapped`, float32 []: 1 while the model holds the average and the slots hold its weights. For SWA a slot
    for every weight of the model, `swa_slots`, and `swa_counted`, float32 `[2]`: how many epochs the average
    holds, and the number of the last, from 1.
    """
    rule = raw(optimizer)
    if not (optim.ema or optim.swa_epochs):
        return
    rule.swapped = rule.add_variable((), "zeros", "float32", name="swapped")
    if optim.swa_epochs:
        rule.swa_counted = rule.add_variable((2,), "zeros", "float32", name="swa_counted")
        rule.swa_slots = [rule.add_variable_from_reference(v, name="swa") for v in model.weights]


class Averaging(keras.callbacks.Callback):
    """Puts an average into the model before validation and takes it out at the epoch's end; stands after
    those who keep the best weights, and before those who save.

    What it remembers are variables of the optimiser. Training that goes on from a moment at which the average
    was in the model finds its weights again.

    Args:
        rule: the optimiser, without loss scaling.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule: Any = rule
        self.epoch = 0

    def pairs(self) -> list[tuple[Any, Any]]:
        """Return (variable of the model, its slot)."""
        averages = self.rule._model_variables_moving_average
        return list(zip(self.rule._trainable_variables, averages, strict=True))

    def prepare(self) -> bool:
        """Bring the slots up to date; whether there is an average already."""
        return True

    def inserted(self) -> None:
        """Do what the average still needs, in the model."""

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Begin with the weights themselves."""
        self._take_out()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remember the epoch."""
        self.epoch = epoch

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Put the average in."""
        if not self._is_in() and self.prepare():
            self._swap()
            self.inserted()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take it out."""
        self._take_out()

    def _is_in(self) -> bool:
        return bool(keras.ops.convert_to_numpy(self.rule.swapped))

    def _take_out(self) -> None:
        if self._is_in():
            self._swap()

    def _swap(self) -> None:
        for variable, slot in self.pairs():
            # A copy: on a CPU the array may be the variable's own memory.
            held = np.array(keras.ops.convert_to_numpy(variable))
            variable.assign(slot)
            slot.assign(held)
        self.rule.swapped.assign(1 - self.rule.swapped)


class StochasticWeightAveraging(Averaging):
    """The mean of the weights at the ends of the last epochs (Izmailov et al., 2018, arXiv 1803.05407).

    Args:
        rule: the optimiser, without loss scaling.
        model: the whole one.
        part: what is fitted of it.
        first: the first epoch that counts, from 0.
        phase: whose training batches the statistics are measured on.
    """

    def __init__(
        self,
        rule: Rule,
        model: keras.Model,
        part: keras.Model,
        first: int,
        phase: Phase,
    ) -> None:
        super().__init__(rule)
        self.whole, self.part, self.first, self.phase = model, part, first, phase

    def pairs(self) -> list[tuple[Any, Any]]:
        """Return (weight of the model, its slot), the statistics of batch normalisation among them."""
        return list(zip(self.whole.weights, self.rule.swa_slots, strict=True))

    def prepare(self) -> bool:
        """Add the weights of an epoch that is not in the average yet."""
        if self.epoch < self.first:
            return False
        count, last = keras.ops.convert_to_numpy(self.rule.swa_counted)
        if self.epoch + 1 > last:
            for variable, slot in self.pairs():
                # After a swap the slots of statistics hold another epoch's: they are measured below anyway.
                slot.assign(slot + (variable - slot) / (count + 1))
            self.rule.swa_counted.assign(np.array([count + 1, self.epoch + 1], "float32"))
        return True

    def inserted(self) -> None:
        """Measure the statistics of batch normalisation of the averaged model."""
        batches = self.phase.batches(0).take(STATISTICS_BATCHES)
        put_statistics(estimate(self.part, (batch[0] for batch in batches)))


def averaging(
    optimizer: keras.optimizers.Optimizer,
    model: keras.Model,
    part: keras.Model,
    optim: OptimConfig,
    epochs: int,
    phase: Phase,
) -> list[keras.callbacks.Callback]:
    """Return the callback that `optim` asks for, for one phase of a training of `epochs` epochs in all."""
    rule = raw(optimizer)
    if optim.ema:
        return [Averaging(rule)]
    if optim.swa_epochs:
        return [StochasticWeightAveraging(rule, model, part, epochs - optim.swa_epochs, phase)]
    return []
