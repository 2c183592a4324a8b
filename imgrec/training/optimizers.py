"""From settings to a Keras optimiser with its schedule."""

import keras

from imgrec.config import OptimConfig


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
    model: keras.Model, optim: OptimConfig, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Build SGD with Nesterov momentum or AdamW, for `optim.epochs` × `steps_per_epoch` steps.

    Weight decay is decoupled (Loshchilov and Hutter, 2019, arXiv 1711.05101) and spares every
    variable of fewer than two dimensions (biases, normalisation) and the embeddings.
    """
    schedule = cosine_with_warmup(
        optim.learning_rate, optim.epochs * steps_per_epoch, round(optim.warmup_epochs * steps_per_epoch)
    )
    decay = optim.weight_decay or None
    if optim.optimizer == "sgd":
        optimizer: keras.optimizers.Optimizer = keras.optimizers.SGD(
            schedule, momentum=optim.momentum, nesterov=optim.momentum > 0, weight_decay=decay
        )
    else:
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=optim.weight_decay)
    spared = [v for v in model.trainable_variables if len(v.shape) < 2 or _is_embedding(v.path)]
    if decay and spared:
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


def _is_embedding(path: str) -> bool:
    """Whether a variable is a position embedding or a class token, such as `embedding/position`."""
    return ("embedding" in path or "token" in path) and not path.endswith("kernel")
