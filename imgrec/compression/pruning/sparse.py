"""Magnitude pruning: small weights become zero while the network is fine-tuned, on a polynomial schedule.

The zeros stay in the file, which has the size it had and is as fast: TFLite's kernels multiply by them too.
What becomes smaller is the file compressed, as in an app's package or on its way over a network.

Source: Zhu and Gupta, "To prune, or not to prune", 2017 (arXiv 1710.01878), § 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from imgrec.compression.graph import expand
from imgrec.errors import InputError
from imgrec.spec import Value, number_option

RAMP = 0.5
"""Share of the fine-tuning's steps over which weights go; in the rest the others recover."""
UPDATES = 100
"""How often, at most, the masks are chosen anew on the way."""


@dataclass(frozen=True)
class Weights:
    """The pruning `weights(sparsity=.8)`: that share of each layer's kernel becomes zero.

    Spared are the first layer and depthwise kernels, which have few weights and need them all (the
    paper on MobileNets).
    """

    sparsity: float = 0.8

    def check(self, model: keras.Model) -> None:
        """Make sure that there are weights to prune.

        Raises:
            InputError: there are none.
        """
        if not kernels(model):
            raise InputError(f"--prune weights: {model.name!r} has no convolution or dense layer to prune")

    def callback(self, model: keras.Model, steps: int) -> "Sparsify":
        """Return what prunes `model` while it is trained for so many steps."""
        return Sparsify(kernels(model), self.sparsity, max(1, int(RAMP * steps)))


def weights(sparsity: Value = 0.8) -> Weights:
    """Return the pruning that these options ask for.

    Raises:
        InputError: a value that is none of the option's.
    """
    return Weights(number_option("sparsity", sparsity, 0.01, 0.99))


def kernels(model: keras.Model) -> list[keras.Variable]:
    """Return the kernels that are pruned: those of convolutions and dense layers but the first."""
    found: dict[int, keras.Variable] = {}
    for step in expand(model).steps:
        operation: Any = step.operation
        if type(operation).__name__ in ("Conv2D", "Dense"):
            found[id(operation.kernel)] = operation.kernel
    return list(found.values())[1:]


def sparsity_at(step: int, last: int, final: float) -> float:
    """Return the share of zeros at a step, from 0: it rises fast at first, and slowly where few are left.

    `s_f (1 − (1 − t / n)³)`, eq. 1 of the paper with `s_i` = 0.
    """
    return final * (1 - (1 - min(step, last) / last) ** 3)


def smallest(value: NDArray[np.floating], share: float) -> NDArray[np.float32]:
    """Return a mask with 0 for that share of the weights, those nearest to zero, and 1 for the others."""
    count = round(share * value.size)
    mask = np.ones(value.size, "float32")
    mask[np.argpartition(np.abs(value).ravel(), count - 1)[:count] if count else []] = 0
    return mask.reshape(value.shape)


class Masked(keras.constraints.Constraint):
    """Keeps zeros: after each step a kernel is multiplied with a mask of 0 and 1."""

    def __init__(self, mask: NDArray[np.floating]) -> None:
        self.mask = keras.Variable(mask, trainable=False, dtype="float32", name="mask")

    def __call__(self, w: Any) -> Any:
        """Return the kernel without what the mask hides."""
        return ops.multiply(w, ops.cast(self.mask, w.dtype))


class Sparsify(keras.callbacks.Callback):
    """Chooses the masks on the schedule, by the steps that the optimiser has taken.

    Going on after an interruption, the masks are where the weights are zero.
    """

    def __init__(self, pruned: list[keras.Variable], final: float, last: int) -> None:
        super().__init__()
        self.pruned, self.final, self.last = pruned, final, last
        self.every = max(1, last // UPDATES)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin with the zeros that are there."""
        hold(self.pruned)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Choose the masks anew where it is time."""
        step = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        if step > self.last or (step % self.every and step != self.last):
            return
        share = sparsity_at(step, self.last, self.final)
        for kernel in self.pruned:
            value = ops.convert_to_numpy(kernel)
            mask = smallest(value, share)
            kernel.constraint.mask.assign(mask)
            kernel.assign(value * mask)


def hold(pruned: list[keras.Variable]) -> None:
    """Let zeros of these kernels stay zero in any training that follows."""
    for kernel in pruned:
        mask = (ops.convert_to_numpy(kernel) != 0).astype("float32")
        if isinstance(kernel.constraint, Masked):
            kernel.constraint.mask.assign(mask)
        else:
            kernel.constraint = Masked(mask)


def holding(model: keras.Model) -> None:
    """`hold` for a model made of a pruned one, such as that of quantisation-aware training."""
    hold([variable for variable in model.trainable_variables if len(variable.shape) in (2, 4)])


def zeros(model: keras.Model) -> Iterator[float]:
    """Return the share of zeros of each pruned kernel."""
    for kernel in kernels(model):
        yield float((ops.convert_to_numpy(kernel) == 0).mean())
