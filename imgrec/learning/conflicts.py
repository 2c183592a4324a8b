"""Which settings do not go together: names for what settings ask for, and one table of pairs."""

from collections.abc import Callable, Mapping

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning.decoupled import Decoupled
from imgrec.learning.method import Method
from imgrec.losses import is_binary
from imgrec.tasks.task import Task


def _flag(name: str, value: object) -> str:
    return f"--{name} {value:g}" if isinstance(value, float) else f"--{name} {value}"


def _when(name: str, value: object, off: object) -> str:
    """The flag as the user gave it, empty where it is as good as not given."""
    return "" if value == off else _flag(name, value)


def _mixing(config: Config) -> str:
    augment = config.augment
    flags = [_when("mixup", augment.mixup, 0.0), _when("cutmix", augment.cutmix, 0.0)]
    return " ".join(filter(None, flags)) if augment.mix_probability else ""


TRAITS: dict[str, Callable[[Config], str]] = {
    "mixing": _mixing,
    "flip": lambda c: "--flip" if c.augment.flip and not c.augment.augment else "",
    "no erasing": lambda c: "" if c.augment.erasing else "--erasing 0",
    "augment line": lambda c: _when("augment", c.augment.augment, ""),
    "augmix line": lambda c: "--augment" if "augmix" in c.augment.augment else "",
    "own crop": lambda c: "" if c.augment.crop in ("auto", "none") else _flag("crop", c.augment.crop),
    "frozen": lambda c: _when("freeze", c.transfer.freeze, "none"),
    "nothing frozen": lambda c: "--freeze none" if c.transfer.freeze == "none" else "",
    "backbone frozen": lambda c: "--freeze backbone" if c.transfer.freeze == "backbone" else "",
    "part frozen": lambda c: "" if c.transfer.freeze == "backbone" else _flag("freeze", c.transfer.freeze),
    "features cached": lambda c: (
        "--freeze backbone"
        if c.transfer.freeze == "backbone" and c.transfer.cache_features != "false"
        else ""
    ),
    "cache asked for": lambda c: "--cache-features true" if c.transfer.cache_features == "true" else "",
    "random weights": lambda c: "--weights none" if c.transfer.weights == "none" else "",
    "unfreezing": lambda c: _when("unfreeze-at", c.transfer.unfreeze_at, 0),
    "unfreezing too late": lambda c: (
        "" if 0 <= c.transfer.unfreeze_at < c.optim.epochs else _flag("unfreeze-at", c.transfer.unfreeze_at)
    ),
    "mask loss": lambda c: _when("mask-loss", c.optim.mask_loss, 0.0),
    "embedding loss": lambda c: _when("embedding-loss", c.loss.embedding_loss, "none"),
    "consistency": lambda c: _when("augmix-consistency", c.loss.augmix_consistency, 0.0),
    "imbalance": lambda c: _when("imbalance", c.loss.imbalance, "none"),
    "binary loss": lambda c: _flag("loss", c.loss.loss) if is_binary(c.loss.loss) else "",
    "softmax loss": lambda c: (
        "" if c.loss.loss == "auto" or is_binary(c.loss.loss) else _flag("loss", c.loss.loss)
    ),
    "one epoch": lambda c: str(c.optim.epochs) if c.optim.epochs < 2 else "",
    "epochs": lambda c: _flag("epochs", c.optim.epochs),
    "measured batch": lambda c: "--batch-size auto" if c.optim.batch_size == "auto" else "",
    "several hosts": lambda c: "--strategy multiworker" if c.run.strategy == "multiworker" else "",
    "preview": lambda c: _when("preview", c.run.preview, 0),
    "lr find": lambda c: "--lr-find" if c.run.lr_find else "",
}
"""What settings can ask for, by name: the flags as the user gave them, empty where they do not ask for it."""

_ONE_HOST = "one host is enough: --strategy none"
_WHOLE = "times a whole network on one host; name a number"
CONFLICTS: tuple[tuple[str, str, str], ...] = (
    ("preview", "several hosts", _ONE_HOST),
    ("lr find", "several hosts", _ONE_HOST),
    ("features cached", "several hosts", "features are made on one host, in seconds: --strategy none"),
    ("measured batch", "several hosts", _WHOLE),
    ("measured batch", "backbone frozen", _WHOLE),
    ("own crop", "augment line", "--augment says it all; put crop(pad=4) or resized_crop there"),
    ("frozen", "random weights", "would keep random weights as they are: name --weights imagenet or a file"),
    ("unfreezing", "nothing frozen", "nothing is frozen; name --freeze backbone or stageN"),
    ("unfreezing too late", "epochs", "expected 0 (never), or fewer than {other}"),
    (
        "cache asked for",
        "part frozen",
        "with {other}: features can be computed once only of a backbone that does not learn; name "
        "--freeze backbone",
    ),
)
"""(one, other, why): pairs that cannot be meant. Those of a method or a task stand with it."""


def check(config: Config, method: Method) -> None:
    """Refuse settings that do not go together, before any data is read.

    Raises:
        InputError: names both, and what to do.
    """
    while isinstance(method, Decoupled):
        _refuse(config, method.asked(config), method.conflicts)
        method = method.first
    _refuse(config, method.asked(config) or f"--method {config.loss.method}", method.conflicts)
    for one, other, why in CONFLICTS:
        _refuse(config, TRAITS[one](config), {other: why})


def check_task(config: Config, task: Task) -> None:
    """Refuse settings that the task of these labels cannot follow.

    Raises:
        InputError: names the setting, and what to do.
    """
    for trait, why in task.refuses.items():
        if given := TRAITS[trait](config):
            raise InputError(f"{given}: {why}")


def _refuse(config: Config, asked: str, conflicts: Mapping[str, str]) -> None:
    for trait, why in conflicts.items():
        other = TRAITS[trait](config)
        if asked and other:
            raise InputError(f"{asked}: {why.format(other=other)}")
