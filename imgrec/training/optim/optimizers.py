"""From settings to a Keras optimiser with its schedule, and with a rate for each depth."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from imgrec.config import OptimConfig
from imgrec.config.facts import check_bounds
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.training.freezing import depth_groups
from imgrec.training.optim import schedules, update_rules
from imgrec.training.optim.schedules import Plateau, build_schedule

RULES: dict[str, Any] = {
    "sgd": update_rules.ScaledSGD,
    "adamw": update_rules.ScaledAdamW,
    "adam": update_rules.ScaledAdam,
    "rmsprop": update_rules.ScaledRMSprop,
    "lion": update_rules.ScaledLion,
    "lamb": update_rules.ScaledLamb,
    "muon": update_rules.ScaledMuon,
}


def build_optimizer(
    model: keras.Model,
    optim: OptimConfig,
    steps_per_epoch: int,
    helpers: Sequence[keras.Variable] = (),
) -> keras.optimizers.Optimizer:
    """Build the optimiser that `optim` names, for `optim.epochs` × `steps_per_epoch` steps.

    Weight decay is decoupled for all of them (Loshchilov and Hutter, 2019, arXiv 1711.05101) and spares every
    variable of fewer than two dimensions (biases, normalisation) and the embeddings. With
    `layer_decay` below 1 the rate of a layer, and its weight decay, is that share of the rate of the next
    depth group nearer to the head (Clark et al., ELECTRA, 2020, arXiv 2003.10555; Bao et al., BEiT, 2022,
    arXiv 2106.08254).

    With `optim.accumulate` = N a step is a batch: the schedule counts batches, the optimiser's `iterations`
    counts updates, each after N of them with the mean of their gradients.

    `helpers` are variables beside the model's that learn too, at the whole rate; it is to be built with
    the model's first, then with these.

    Raises:
        InputError: an unknown schedule or option.
    """
    schedule = build_schedule(optim, steps_per_epoch)
    options: dict[str, Any] = {"weight_decay": optim.weight_decay or None, **_own_options(optim)}
    if optim.layer_decay != 1:
        options["factors"] = (*depth_factors(model, optim.layer_decay), *(1.0 for _ in helpers))
    if optim.clip_norm:
        options["global_clipnorm"] = optim.clip_norm
    if optim.accumulate > 1:
        options["gradient_accumulation_steps"] = optim.accumulate
    if optim.ema:
        options |= {"use_ema": True, "ema_momentum": optim.ema}
    optimizer: keras.optimizers.Optimizer = lookup(RULES, optim.optimizer, "optimizer")(schedule, **options)
    if isinstance(schedule, Plateau):
        schedule.keep_state(optimizer)
    spared = [v for v in (*model.trainable_variables, *helpers) if not is_regular(v)]
    if optim.weight_decay and spared:
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


def _own_options(optim: OptimConfig) -> Mapping[str, Any]:
    """What only the named rule takes."""
    momentum = optim.momentum
    options: dict[str, dict[str, Any]] = {
        "sgd": {"momentum": momentum, "nesterov": momentum > 0},
        # Keras's own values of the decay here are not 0.
        "adamw": {"weight_decay": optim.weight_decay},
        "rmsprop": {"momentum": momentum},
        "muon": {
            "momentum": momentum,
            "exclude_layers": ["^logits", "token"],
            "adam_weight_decay": optim.weight_decay or None,
        },
    }
    return options.get(optim.optimizer, {})


_STAND_INS: dict[str, Any] = {"epochs": 100, "learning_rate": 0.1}
"""What a schedule is read with, to find what is wrong with its line."""


def check(optim: OptimConfig, strategy: Any = None) -> None:
    """Refuse settings that cannot be meant, or that devices of `strategy` cannot do.

    Raises:
        InputError: one of them.
    """
    check_bounds(optim)
    # What is left to auto is decided when the data are known.
    given = {f.name: getattr(optim, f.name) for f in dataclasses.fields(optim)}
    decided = {name: value for name, value in _STAND_INS.items() if given[name] == "auto"}
    build_schedule(dataclasses.replace(optim, **decided), 1)
    if "epochs" not in decided and optim.swa_epochs > optim.epochs:
        raise InputError(f"--swa-epochs {optim.swa_epochs}: there are only --epochs {optim.epochs}")
    if optim.swa_epochs and (optim.ema or optim.patience not in (0, "auto")):
        raise InputError(
            "--swa-epochs averages the last epochs: leave out --ema, another average, and --patience, which "
            "may never come to them"
        )
    if optim.sam_adaptive and not optim.sam:
        raise InputError("--sam-adaptive: expected a radius too, such as --sam 0.5")
    if strategy is not None and optim.accumulate > 1:
        raise InputError(
            f"--accumulate {optim.accumulate}: Keras cannot add up gradients over mirrored devices; use "
            "--strategy none, or a larger --batch-size, which the devices share"
        )
    if strategy is not None and optim.sam:
        raise InputError(
            f"--sam {optim.sam:g}: moves the weights between two gradients, which mirrored devices cannot do "
            "in a step; use --strategy none"
        )
    backend = keras.backend.backend()
    if optim.sam and backend != "tensorflow":
        raise InputError(f"--sam: written for TensorFlow, and the backend is {backend}: leave it out")


def summary(optim: OptimConfig) -> str:
    """What moves the weights, in one line for the overview."""
    parts = [optim.optimizer, f"peak rate {optim.learning_rate:g}", schedules.summary(optim)]
    parts.append(f"decay {optim.weight_decay:g}")
    parts.append(f"label smoothing {optim.label_smoothing:g}")
    more = {"L1": optim.l1, "L2": optim.l2, "gradients clipped to": optim.clip_norm}
    more |= {"EMA": optim.ema, "SWA over the last epochs:": optim.swa_epochs}
    more |= {"ASAM" if optim.sam_adaptive else "SAM": optim.sam, "mask loss": optim.mask_loss}
    parts += [f"{name} {value:g}" for name, value in more.items() if value]
    if optim.accumulate > 1:
        parts.append(f"an update every {optim.accumulate} steps")
    return ", ".join(parts)


def raw(optimizer: keras.optimizers.Optimizer) -> Any:
    """Return the optimiser itself, where loss scaling is wrapped around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def go_to_step(optimizer: keras.optimizers.Optimizer, step: int) -> None:
    """Let the schedule go on from `step`, counted in batches from 0."""
    # Under accumulation `iterations` is computed, the number of updates.
    raw(optimizer)._iterations.assign(step)


def is_regular(variable: Any) -> bool:
    """Whether weight decay and regularisation are about a variable: a kernel, no bias, gain or embedding."""
    return len(variable.shape) >= 2 and not _is_embedding(variable.path)


def depth_factors(model: keras.Model, layer_decay: float) -> tuple[float, ...]:
    """Return each trainable variable's share of the rate: `layer_decay` to the power of its distance.

    The distance is counted in depth groups from the head, which has the whole rate.
    """
    groups = depth_groups(model)
    share = {
        id(variable): layer_decay ** (len(groups) - 1 - position)
        for position, group in enumerate(groups.values())
        for layer in group
        for variable in layer.trainable_variables
    }
    return tuple(share[id(variable)] for variable in model.trainable_variables)


def _is_embedding(path: str) -> bool:
    """Whether a variable is a position embedding or a class token, such as `embedding/position`."""
    return ("embedding" in path or "token" in path) and not path.endswith("kernel")
