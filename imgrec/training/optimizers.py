"""From settings to a Keras optimiser with its schedule, and with a rate for each depth."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from imgrec.config import OptimConfig
from imgrec.training.freezing import depth_groups


def cosine_with_warmup(
    peak: float, steps: int, warmup_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear from 0 to `peak` over `warmup_steps`, then a half cosine to 0 at `steps`.

    The warm-up takes a fifth of the steps at most, so that a short run still cools down.

    Source: Loshchilov and Hutter, "SGDR", 2017 (arXiv 1608.03983); warm-up after Goyal et al., 2017
    (arXiv 1706.02677).
    """
    warmup_steps = min(warmup_steps, steps // 5)
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(peak, max(steps, 1))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - warmup_steps, 1), warmup_target=peak, warmup_steps=warmup_steps
    )


def build_optimizer(
    model: keras.Model, optim: OptimConfig, steps_per_epoch: int, layer_decay: float = 1.0
) -> keras.optimizers.Optimizer:
    """Build SGD with Nesterov momentum or AdamW, for `optim.epochs` × `steps_per_epoch` steps.

    Weight decay is decoupled (Loshchilov and Hutter, 2019, arXiv 1711.05101) and spares every
    variable of fewer than two dimensions (biases, normalisation) and the embeddings. With
    `layer_decay` below 1 the rate of a layer, and its weight decay, is that share of the rate of the next
    depth group nearer to the head (Clark et al., ELECTRA, 2020, arXiv 2003.10555; Bao et al., BEiT, 2022,
    arXiv 2106.08254).
    """
    schedule = cosine_with_warmup(
        optim.learning_rate, optim.epochs * steps_per_epoch, round(optim.warmup_epochs * steps_per_epoch)
    )
    decay = optim.weight_decay or None
    options: dict[str, Any] = {} if layer_decay == 1 else {"factors": depth_factors(model, layer_decay)}
    if optim.optimizer == "sgd":
        sgd = ScaledSGD if options else keras.optimizers.SGD
        optimizer: keras.optimizers.Optimizer = sgd(
            schedule, momentum=optim.momentum, nesterov=optim.momentum > 0, weight_decay=decay, **options
        )
    else:
        adamw = ScaledAdamW if options else keras.optimizers.AdamW
        optimizer = adamw(schedule, weight_decay=optim.weight_decay, **options)
    spared = [v for v in model.trainable_variables if len(v.shape) < 2 or _is_embedding(v.path)]
    if decay and spared:
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


def depth_factors(model: keras.Model, layer_decay: float) -> tuple[float, ...]:
    """Return each trainable variable's share of the rate: `layer_decay` to the power of its distance.

    The distance is counted in depth groups from the head, which has the whole rate.
    """
    groups = depth_groups(model)
    share = {
        id(variable): layer_decay ** (len(groups) - 1 - position)
        for position, group in enumerate(groups)
        for layer in group
        for variable in layer.trainable_variables
    }
    return tuple(share[id(variable)] for variable in model.trainable_variables)


class _Scaled:
    """Mixin: rate and weight decay of every variable times a factor of its own.

    `factors` stand in the order of the variables that the optimiser is built with; None: all 1.
    """

    # What the optimiser beside this class provides.
    weight_decay: float | None
    _get_variable_index: Callable[[Any], int]

    def __init__(self, *args: Any, factors: Sequence[float] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factors = None if factors is None else tuple(factors)

    def _factor(self, variable: Any) -> float:
        return 1.0 if self.factors is None else self.factors[self._get_variable_index(variable)]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable, at its own rate."""
        factor = self._factor(variable)
        super().update_step(gradient, variable, learning_rate * factor)  # type: ignore[misc]

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        whole = self.weight_decay
        if whole is None:
            return
        for variable in variables:
            self.weight_decay = whole * self._factor(variable)
            super()._apply_weight_decay([variable])  # type: ignore[misc]
        self.weight_decay = whole

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "factors": self.factors}  # type: ignore[misc]


@keras.saving.register_keras_serializable("imgrec")
class ScaledSGD(_Scaled, keras.optimizers.SGD):
    """SGD with a factor on every variable's rate."""


@keras.saving.register_keras_serializable("imgrec")
class ScaledAdamW(_Scaled, keras.optimizers.AdamW):
    """AdamW with a factor on every variable's rate."""


def _is_embedding(path: str) -> bool:
    """Whether a variable is a position embedding or a class token, such as `embedding/position`."""
    return ("embedding" in path or "token" in path) and not path.endswith("kernel")
