"""Keras's optimisers, with a rate for every variable, averages that stay apart, and Muon for convolutions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from imgrec.training.optim.fused_updates import FusedAdam, FusedAdamW, FusedSGD


class Rule:
    """Mixin before one of Keras's optimisers: what all of ours can do beside it.

    Rate and weight decay of every variable are multiplied by a factor of its own: `factors` stand in the
    order of the variables that the optimiser is built with; None: all 1.

    Moving averages (`use_ema`) stay in the optimiser: `optim/averaging.py` takes them from there, where
    Keras would put them into the model at the end of each `fit`, also in the middle of a training, and fails
    where some layers are frozen.
    """

    # What the optimiser beside this class provides.
    weight_decay: float | None
    ema_momentum: Any
    gradient_accumulation_steps: int | None
    _iterations: Any
    _get_variable_index: Callable[[Any], int]

    def __init__(self, *args: Any, factors: Sequence[float] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factors = None if factors is None else tuple(factors)
        self._watch: _Watch | None = None

    def _factor(self, variable: Any) -> float:
        return 1.0 if self.factors is None else self.factors[self._get_variable_index(variable)]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable, at its own rate."""
        factor = self._factor(variable)
        super().update_step(gradient, variable, learning_rate * factor)  # type: ignore[misc]

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        whole = self.weight_decay
        if whole is None or self.factors is None:
            super()._apply_weight_decay(variables)  # type: ignore[misc]
            return
        for variable in variables:
            self._set_decay(whole * self._factor(variable))
            super()._apply_weight_decay([variable])  # type: ignore[misc]
        self._set_decay(whole)

    def _set_decay(self, decay: float) -> None:
        self.weight_decay = decay

    def watch(self, groups: Sequence[Sequence[Any]]) -> None:
        """Note the norm of each group's gradients, before clipping, in `gradient_norms` at every step.

        `groups` hold variables that the optimiser is built with. The norms, float32 `[groups]`, are no
        variable of the optimiser: they are not saved with it. Call before the first step is traced; a second
        call changes nothing.
        """
        if self._watch is None:
            self._watch = _Watch([{self._get_variable_index(v) for v in group} for group in groups])

    @property
    def gradient_norms(self) -> Any:
        """Those of the last step, float32 `[groups]`; None where nothing is watched."""
        return self._watch and self._watch.norms

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        """Take a step, and note the gradients' norms where they are watched."""
        if self._watch and trainable_variables is not None:
            pairs = zip(grads, trainable_variables, strict=True)
            squares = {
                self._get_variable_index(v): ops.sum(ops.square(ops.cast(g, "float32")))
                for g, v in pairs
                if g is not None
            }
            zero = ops.zeros(())
            sums = [sum((squares.get(i, zero) for i in sorted(group)), zero) for group in self._watch.groups]
            self._watch.norms.assign(ops.sqrt(ops.stack(sums)))
        return super().apply(grads, trainable_variables)  # type: ignore[misc]

    def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
        """Average at updates: Keras does at every batch, also at those whose gradients are only added up."""
        share, batches = self.ema_momentum, self.gradient_accumulation_steps
        if batches:
            updates = ops.equal((self._iterations + 1) % batches, 0)
            self.ema_momentum = ops.where(updates, share, 1.0)
        super()._update_model_variables_moving_average(trainable_variables)  # type: ignore[misc]
        self.ema_momentum = share

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Leave the model as it is."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "factors": self.factors}  # type: ignore[misc]


class _Watch:
    """Groups of variables by their places in the optimiser, and the norms of their gradients.

    An object of its own: what is an attribute of an optimiser is saved with it.
    """

    def __init__(self, groups: list[set[int]]) -> None:
        self.groups = groups
        zeros = ops.zeros(len(groups))
        self.norms = keras.Variable(zeros, trainable=False, aggregation="mean", name="gradient_norms")


@keras.saving.register_keras_serializable("imgrec")
class ScaledSGD(Rule, FusedSGD):
    """SGD with a factor on every variable's rate."""


@keras.saving.register_keras_serializable("imgrec")
class ScaledAdam(Rule, FusedAdam):
    """Adam with a factor on every variable's rate; its decay is decoupled too."""


@keras.saving.register_keras_serializable("imgrec")
class ScaledAdamW(Rule, FusedAdamW):
    """AdamW with a factor on every variable's rate."""


@keras.saving.register_keras_serializable("imgrec")
class ScaledRMSprop(Rule, keras.optimizers.RMSprop):
    """RMSprop with a factor on every variable's rate."""


@keras.saving.register_keras_serializable("imgrec")
class ScaledLion(Rule, keras.optimizers.Lion):
    """Lion with a factor on every variable's rate."""


@keras.saving.register_keras_serializable("imgrec")
class ScaledLamb(Rule, keras.optimizers.Lamb):
    """LAMB with a factor on every variable's rate; the decay is decoupled from the trust ratio."""


@keras.saving.register_keras_serializable("imgrec")
class ScaledMuon(Rule, keras.optimizers.Muon):
    """Muon with a factor on every variable's rate, and for the kernels of convolutions too.

    A kernel `[H, W, I, O]` moves as the matrix `[H·W·I, O]` (Jordan et al., "Muon", 2024), where Keras's Muon
    leaves all but matrices to AdamW. Depthwise kernels, whose last axis is 1, biases and normalisation,
    embeddings and what `exclude_layers` names are AdamW's.
    """

    adam_weight_decay: float | None

    def _should_use_adamw(self, variable: Any) -> bool:
        shape = variable.shape
        if len(shape) != 4 or shape[-1] == 1:
            return bool(super()._should_use_adamw(variable))
        # The rules by name are Keras's, which asks for two dimensions first.
        return bool(super()._should_use_adamw(_Named(variable.path, (1, 1))))

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, gradient + m * (self.momentum - 1))
        step = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(step, (-1, step.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))

    def _set_decay(self, decay: float) -> None:
        self.weight_decay = self.adam_weight_decay = decay


class _Named:
    """The path and shape of a variable."""

    def __init__(self, path: str, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
