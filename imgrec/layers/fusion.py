"""The answers of several networks to one image, made into one: the last layer of an ensemble."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.composite import Configured

HOWS = ("soft", "hard", "weighted", "stacking")
"""Mean probability; votes; mean by fitted weights; logistic regression on log-probabilities."""
ACTIVATIONS = ("softmax", "sigmoid")
FLOOR = 1e-7
"""Probability that stands for every smaller one in a logarithm: surer than this is not told apart."""
TIE = 1e-3
"""What the mean probability counts for beside a vote: it parts those that have equally many votes."""


@keras.saving.register_keras_serializable("imgrec")
class AnswerFusion(Configured):
    """K members' logits, each `[B, C]`, as the logits `[B, C]` of what they say together.

    Its softmax, or sigmoid, is what the members say together: with p the mean probability of each group,

    - soft: the mean of p over the groups (Lakshminarayanan et al., 2017, arXiv 1612.01474);
    - hard: the share of groups that vote for the class, a little of the mean of p beside it;
    - weighted: `Σ w p`, w ≥ 0 with sum 1, the layer's weights;
    - stacking: `W log p + b`, the layer's weights (Wolpert, "Stacked generalization", 1992).

    One layer rather than operations, because a file with rounded tensors computes the whole of it in float32.
    Softmax is written out: as an operator of such a file its output would have steps of 1/256.

    Args:
        how: one of `HOWS`.
        groups: how many members, one after another, count as one: of a cross-validation its folds.
        activation: what makes probabilities of logits, one of `ACTIVATIONS`.
    """

    def __init__(
        self, how: str = "soft", groups: Sequence[int] = (1, 1), activation: str = "softmax", **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.how, self.groups, self.activation = how, tuple(groups), activation
        for name, value, known in (("how", how, HOWS), ("activation", activation, ACTIVATIONS)):
            if value not in known:
                raise InputError(f"ensemble: {name}={value!r}, expected {' or '.join(known)}")
        if not self.groups or any(type(size) is not int or size < 1 for size in self.groups):
            raise InputError(f"ensemble: groups={list(self.groups)!r}, expected numbers of members from 1")
        if how == "stacking" and activation != "softmax":
            raise InputError("ensemble: stacking answers one class an image; use weighted")

    def build(self, input_shape: Sequence[tuple[Any, ...]]) -> None:
        """Create the weights that were fitted, where there are any; training leaves them as they are."""
        count, classes = len(self.groups), input_shape[0][-1]
        if sum(self.groups) != len(input_shape):
            raise InputError(f"ensemble: {len(input_shape)} members in groups of {list(self.groups)}")
        if self.how == "weighted":
            equal = keras.initializers.Constant(1 / count)
            self.shares = self.add_weight(
                shape=(count,), initializer=equal, trainable=False, name="shares", dtype="float32"
            )
        if self.how == "stacking":
            zeros = {"initializer": "zeros", "trainable": False, "dtype": "float32"}
            self.kernel = self.add_weight(shape=(count * classes, classes), name="kernel", **zeros)
            self.bias = self.add_weight(shape=(classes,), name="bias", **zeros)

    def call(self, logits: Sequence[Any]) -> Any:
        """Return what the members say together, as logits."""
        together = [self._group(part, self._probabilities) for part in self._parts(logits)]
        if self.how == "stacking":
            known = ops.concatenate([ops.log(ops.maximum(p, FLOOR)) for p in together], axis=-1)
            return ops.sum(ops.expand_dims(known, -1) * self.kernel, axis=1) + self.bias
        if self.activation == "softmax":
            return ops.log(ops.maximum(self._mixed(together), FLOOR))
        # log p − log(1 − p), the latter from the members' own 1 − p, which keep digits near p = 1.
        against = [self._group(part, lambda x: self._probabilities(-x)) for part in self._parts(logits)]
        yes, no = self._mixed(together), self._mixed(against)
        return ops.log(ops.maximum(yes, FLOOR)) - ops.log(ops.maximum(no, FLOOR))

    def _parts(self, logits: Sequence[Any]) -> list[list[Any]]:
        """Return the members of each group."""
        rest = iter(logits)
        return [[next(rest) for _ in range(size)] for size in self.groups]

    def _group(self, members: Sequence[Any], of: Any) -> Any:
        """Return the mean probability of a group."""
        return sum(of(member) for member in members) / len(members)

    def _probabilities(self, logits: Any) -> Any:
        if self.activation == "sigmoid":
            return 1 / (1 + ops.exp(ops.minimum(-logits, 80.0)))
        raised = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        # A quotient would be found to be a softmax, and rounded to 1/256 where an operator behind it is int8.
        return raised * (1 / ops.sum(raised, axis=-1, keepdims=True))

    def _mixed(self, together: Sequence[Any]) -> Any:
        """Return what the groups say together, as probabilities."""
        if self.how == "weighted":
            return sum(self.shares[index] * p for index, p in enumerate(together))
        mean = sum(together) / len(together)
        if self.how == "soft":
            return mean
        votes = sum(self._vote(p) for p in together) / len(together)
        return (votes + TIE * mean) / (1 + TIE)

    def _vote(self, p: Any) -> Any:
        """Return 1 for the classes that a group names, else 0; equal ones have a part of its vote each."""
        if self.activation == "sigmoid":
            return ops.cast(p > 0.5, "float32")
        # Not argmax and one-hot: Keras's go by the bits of a number, and TFLite has no operator for that.
        named = ops.cast(p >= ops.max(p, axis=-1, keepdims=True), "float32")
        return named / ops.sum(named, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the shape of one member's logits."""
        return tuple(input_shape[0])
