"""Decides, for this network, optimiser, data and device, what the settings left to `auto`.

In order: `network` once the data are read, `numbers` from the count of images, and `within` once the network
can be timed. What was given stays. `docs/defaults.md` says the same in words.
"""

import math
from dataclasses import fields

from imgrec import runtime
from imgrec.compression.pruning import prunings
from imgrec.config import Config, OptimConfig
from imgrec.data.sources.dataset import Source
from imgrec.data.sources.load import load_source
from imgrec.learning import methods
from imgrec.learning.method import Supervised
from imgrec.learning.traits import TRAITS
from imgrec.models import info
from imgrec.models.pretrained import IMAGENET, packaged
from imgrec.spec import Spec
from imgrec.tasks import choose as choose_task
from imgrec.tasks.task import Task

SMALL = 64
"""Images up to this many pixels a side keep their size and get a small-image network."""
FEW = 3000
"""With fewer training images, small ones too are better seen enlarged by ImageNet's features."""
CARRIES = 1000
"""From as many training images on, layers behind the head learn too: fewer overfit before they gain."""
UPDATES = 2500
"""Steps that a training from random weights takes at least, where time allows."""
EPOCHS = (15, 100)
"""Epochs that it takes at least and at most."""
FINE_TUNING, FEWEST_FINE = 8, 3
"""Epochs in which all layers learn, after the head: at most, and where there is time for fewer, none."""
FINE_RATE, FINE_LAYER_DECAY, FINE_BATCH, FINE_DECAY = 2e-4, 0.8, 32, 0.01
"""AdamW's for them: a fifth of the rate of recipe transfer_finetune, for the head is right from the start."""
HEAD_RATE, HEAD_BATCH = 3e-3, 64
"""AdamW's for a head that is trained step by step, as recipe transfer_head has them."""
MINUTES = 10.0
"""How long the whole command takes on a processor."""
FIXED = 60.0
"""Seconds of it that go to starting, exporting and measuring."""
LEAST_EPOCHS = 3
"""Whatever the time: fewer passes from random weights leave nothing worth having."""
STEP, QAT_STEP = 3.2, 8.0
"""What a training step costs at least, and one that also rounds as int8 does, in forward passes."""
LOADING = 1.5
"""What loading and augmenting make of a step on noise: solar cells took 109 ms an image, noise 73."""
SHORT, TINY = 10, 100_000
"""Epochs, and trainable parameters, below which shifted images take more than they give: LeNet-5 on the
sample reaches .861 in 5 epochs without, .80 with them."""


def for_search(config: Config) -> Config:
    """Return the setting that a search begins with: of steps, which it can change, and without hurry.

    Reads the data. A head is trained, not solved.

    Raises:
        InputError: bad data, or an unknown model.
    """
    source = load_source(config.data, config.split_seed)
    task = choose_task(config.data.task, source.train.kind, source.classes)
    head = "trained" if config.transfer.head == "auto" else config.transfer.head
    return numbers(network(config.replace(head=head), source, task), len(source.train))


def network(config: Config, source: Source, task: Task) -> Config:
    """Choose weights, network, and which part of it learns how.

    Raises:
        InputError: an unknown model.
    """
    spec = Spec.named(config.model.model, "--model")
    weights, name = config.transfer.weights, spec.name
    if weights == "auto":
        weights = IMAGENET if _learned_features_fit(config, source, name) else "none"
    if name == "auto":
        side = max(source.side, config.data.image_size)
        name = "efficientnet_lite0" if weights == IMAGENET else "resnet20" if side <= SMALL else "resnet18"
    info(name)
    config = config.replace(model=str(Spec(name, (), spec.options)), weights=weights)
    freeze, head = config.transfer.freeze, config.transfer.head
    if freeze == "auto":
        freeze = "backbone" if weights != "none" and _solvable(config, task) else "none"
        head = "solved" if head == "auto" and freeze == "backbone" else head
    if head == "auto":
        steps = config.optim.epochs != "auto" or steps_asked(config)
        solved = freeze == "backbone" and not steps and _solvable(config.replace(freeze="auto"), task)
        head = "solved" if solved else "trained"
    return config.replace(freeze=freeze, head=head)


def _learned_features_fit(config: Config, source: Source, name: str) -> bool:
    """Whether packaged weights are worth having for these images, and are there."""
    side = config.data.image_size or source.side
    worth = side > SMALL or (not config.data.image_size and len(source.train) < FEW)
    return worth and packaged("efficientnet_lite0" if name == "auto" else name)


def _solvable(config: Config, task: Task) -> bool:
    """Whether a logistic regression on cached features does all that is asked for."""
    asked = ("mixing", "own crop", "augment line", "several hosts", "imbalance")
    return (
        type(methods.choose(config)) is Supervised
        and task.solvable
        and runtime.backend() == "tensorflow"
        and config.loss.loss == "auto"
        and config.transfer.cache_features != "false"
        and not config.augment.erasing
        and not any(TRAITS[name](config) for name in asked)
    )


def numbers(config: Config, images: int) -> Config:
    """Choose batch, epochs, optimiser, its rates, patience and the export, as if there was time enough.

    Args:
        config: with what `network` chose.
        images: that an epoch shows.
    """
    if config.transfer.head == "solved":
        decided = _after_solving(config, images)
    elif config.transfer.freeze == "backbone":
        decided = {**_batch(HEAD_BATCH), **_adamw(HEAD_RATE, 1.0), "unfreeze_at": 0}
    else:
        decided = {"batch_size": batch_for(images), "layer_decay": 1.0, "unfreeze_at": 0}
    pretrained = config.transfer.weights != "none"
    decided |= {"quantize": "ptq" if pretrained else "qat", "minutes": minutes()}
    config = _fill(config, decided)
    learning = info(Spec.parse(config.model.model).name).learning
    config = _fill(config, {"optimizer": learning.optimizer})
    batch = config.optim.batch_size if isinstance(config.optim.batch_size, int) else batch_for(images)
    name, fewer = config.optim.optimizer, 0.1 if pretrained else 1.0
    config = _fill(
        config,
        {
            "epochs": epochs_for(images, batch),
            "learning_rate": _rounded(fewer * learning.rate(name, batch)),
            "weight_decay": learning.decay(name),
        },
    )
    fixed_end = Spec.parse(config.optim.schedule).name not in ("constant", "plateau")
    return _fill(config, {"patience": 0 if fixed_end else max(5, config.optim.epochs // 5)})


def _after_solving(config: Config, images: int) -> dict[str, object]:
    """The settings of a solved head, and of the layers that learn after it where the images carry that."""
    unfreeze, epochs = config.transfer.unfreeze_at, config.optim.epochs
    if unfreeze == "auto":
        wanted = images >= CARRIES or steps_asked(config) if epochs == "auto" else epochs > 1
        unfreeze = int(wanted)
    more = {"unfreeze_at": unfreeze, "epochs": unfreeze + FINE_TUNING if unfreeze else 1}
    adamw = _adamw(FINE_RATE, FINE_LAYER_DECAY) if config.optim.optimizer in ("auto", "adamw") else {}
    return {**more, **_batch(FINE_BATCH), **adamw, "layer_decay": FINE_LAYER_DECAY}


def steps_asked(config: Config) -> bool:
    """Whether a setting was given that only steps can follow, such as a rate or an average of weights."""
    left_alone, given = OptimConfig(), config.optim
    others = ("epochs", "batch_size", "on_nan")  # how many, how many at once, and what about accidents
    return any(
        getattr(given, f.name) != getattr(left_alone, f.name) for f in fields(given) if f.name not in others
    )


def _batch(images: int) -> dict[str, object]:
    return {"batch_size": images}


def _adamw(rate: float, layer_decay: float) -> dict[str, object]:
    return {
        "optimizer": "adamw",
        "learning_rate": rate,
        "weight_decay": FINE_DECAY,
        "layer_decay": layer_decay,
    }


def batch_for(images: int) -> int:
    """Return the power of two, 16 to 128, with which an epoch has a hundred steps or so."""
    return 2 ** min(7, max(4, math.floor(math.log2(max(images, 1) / 100))))


def epochs_for(images: int, batch: int) -> int:
    """Return the epochs that make `UPDATES` steps, within `EPOCHS`."""
    low, high = EPOCHS
    return min(high, max(low, math.ceil(UPDATES / math.ceil(images / batch))))


def crop(config: Config, side: int) -> str:
    """Return the random crop for training images of `side` pixels, the epochs being decided."""
    if config.augment.crop != "auto":
        return config.augment.crop
    transfer = config.transfer
    if transfer.head == "solved":
        return "pad" if transfer.unfreeze_at else "none"  # whole images, as the head was solved on
    tiny = info(Spec.parse(config.model.model).name).parameters < TINY
    if side <= SMALL:
        return "none" if tiny or config.optim.epochs < SHORT else "pad"
    return "random_resized"


def minutes() -> float:
    """Return the time for a command: a budget on a processor, 0 (no limit) on an accelerator."""
    return 0.0 if runtime.accelerated() else MINUTES


def within(asked: Config, config: Config, forward: float, step: float, source: Source) -> tuple[Config, str]:
    """Return `config` with as many epochs as `--minutes` allow, and a note where those are fewer.

    Args:
        asked: what the user gave.
        config: with what `numbers` chose.
        forward: seconds that an image takes forwards through the network.
        step: seconds that it takes in a training step.
        source: the images.
    """
    optim, quantize = config.optim, config.quantize
    left = 60 * config.run.minutes - FIXED - forward * len(source.test)
    epoch = LOADING * step * len(source.train) + forward * len(source.val)
    if config.transfer.head == "solved":
        left -= 2 * forward * (len(source.train) + len(source.val))
    if Spec.parse(quantize.quantize).name == "qat":
        left -= step * quantize.qat_epochs * QAT_STEP / STEP * len(source.train)
    left -= step * prunings.epochs(quantize.prune) * len(source.train)
    steps = optim.epochs - (config.transfer.unfreeze_at if config.transfer.head == "solved" else 0)
    if asked.optim.epochs != "auto" or not steps or left >= epoch * steps:
        return config, ""
    fit = int(left / epoch)
    longer = f"--minutes {math.ceil((60 * config.run.minutes + epoch * steps - left) / 60)} has time"
    if config.transfer.head == "solved":
        begin = config.transfer.unfreeze_at
        asked_for = steps_asked(asked) or asked.transfer.unfreeze_at != "auto"
        more = max(fit, FEWEST_FINE) if asked_for else fit if fit >= FEWEST_FINE else 0
        more = min(more, optim.epochs - begin)
        fewer = config.replace(epochs=begin + more) if more else config.replace(epochs=1, unfreeze_at=0)
        if not more and asked.augment.crop == "auto":
            fewer = fewer.replace(crop="none")
        said = f"{more} epochs of fine-tuning" if more else "no fine-tuning"
        return fewer, f"{said} of the {optim.epochs - begin} that the images carry, by --minutes; {longer}"
    kept = min(optim.epochs, max(LEAST_EPOCHS, fit))
    return config.replace(epochs=kept), f"{kept} epochs of the {optim.epochs} wanted, by --minutes; {longer}"


def why(asked: Config, decided: Config, source: Source) -> str:
    """Return what learns from where, why, and how to have it otherwise; empty where the user named it."""
    if asked.transfer.weights != "auto":
        return ""
    images = f"{len(source.train):,} training images of {source.side} px"
    name, transfer = Spec.parse(decided.model.model).name, decided.transfer
    if transfer.weights == "none":
        other = (
            f"--weights {IMAGENET}" if packaged(name) or asked.model.model == "auto" else "another --model"
        )
        return f"{images}: {name} learns from random weights; otherwise: {other} (docs/defaults.md)"
    if transfer.head != "solved":
        return (
            f"{images}: {name} begins with ImageNet's weights; otherwise: --weights none (docs/defaults.md)"
        )
    what, other = f"{images}: ImageNet's features in {name}, the head solved on them", "--weights none"
    if transfer.unfreeze_at:
        more = f"then {decided.optim.epochs - transfer.unfreeze_at} epochs of all layers"
        return f"{what}, {more}; otherwise: --unfreeze-at 0, {other}"
    few = f" (from {CARRIES:,} images on)" if len(source.train) < CARRIES else ""
    return (
        f"{what}, and no fine-tuning{few}; otherwise: --epochs {1 + FINE_TUNING}, {other} (docs/defaults.md)"
    )


def shown(asked: Config, decided: Config) -> str:
    """Return what was left to auto and became a number or a name, as flags in one line."""
    before, after = asked.flat(), decided.flat()
    names = (name for name, value in before.items() if value == "auto" and after[name] != "auto")
    hidden = {"colour", "cache_features"}
    if decided.transfer.head == "solved" and not decided.transfer.unfreeze_at:  # there are no steps
        hidden |= vars(decided.optim).keys()
    return " ".join(
        f"--{name.replace('_', '-')} {_text(after[name])}" for name in names if name not in hidden
    )


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fill(config: Config, decided: dict[str, object]) -> Config:
    """Return `config` with `decided` in the place of what is still `auto`."""
    flat = config.flat()
    return config.replace(**{name: value for name, value in decided.items() if flat[name] == "auto"})


def _rounded(rate: float) -> float:
    """The rate with two digits, so that it can be read and typed."""
    return float(f"{rate:.2g}")
