"""What settings can ask for, by name; what a method or a task does not go with is told by these names."""

from collections.abc import Callable

from imgrec.config import Config
from imgrec.losses import is_binary


def _flag(name: str, value: object) -> str:
    return f"--{name} {value:g}" if isinstance(value, float) else f"--{name} {value}"


def _when(name: str, value: object, off: object) -> str:
    """The flag as the user gave it, empty where it is as good as not given."""
    return "" if value == off else _flag(name, value)


def _mixing(config: Config) -> str:
    augment = config.augment
    flags = [_when("mixup", augment.mixup, 0.0), _when("cutmix", augment.cutmix, 0.0)]
    return " ".join(filter(None, flags)) if augment.mix_probability else ""


def _freeze(config: Config) -> str:
    freeze = config.transfer.freeze
    return "" if freeze in ("auto", "none") else _flag("freeze", freeze)


def _unfreezing(config: Config) -> str:
    return _when("unfreeze-at", config.transfer.unfreeze_at, 0) if _decided(config, "unfreeze_at") else ""


def _too_late(config: Config) -> str:
    if not _decided(config, "unfreeze_at", "epochs"):
        return ""
    at = config.transfer.unfreeze_at
    return "" if 0 <= at < config.optim.epochs else _flag("unfreeze-at", at)


def _decided(config: Config, *names: str) -> bool:
    flat = config.flat()
    return all(flat[name] != "auto" for name in names)


def _cached(config: Config) -> str:
    transfer = config.transfer
    asked = transfer.freeze == "backbone" and transfer.cache_features != "false"
    return "--freeze backbone" if asked else ""


def _own_crop(config: Config) -> str:
    return "" if config.augment.crop in ("auto", "none") else _flag("crop", config.augment.crop)


TRAITS: dict[str, Callable[[Config], str]] = {
    "mixing": _mixing,
    "flip": lambda c: "--flip" if c.augment.flip and not c.augment.augment else "",
    "no erasing": lambda c: "" if c.augment.erasing else "--erasing 0",
    "augment line": lambda c: _when("augment", c.augment.augment, ""),
    "augmix line": lambda c: "--augment" if "augmix" in c.augment.augment else "",
    "own crop": _own_crop,
    "frozen": _freeze,
    "nothing frozen": lambda c: "--freeze none" if c.transfer.freeze == "none" else "",
    "backbone frozen": lambda c: "--freeze backbone" if c.transfer.freeze == "backbone" else "",
    "part frozen": lambda c: (
        "" if c.transfer.freeze in ("auto", "backbone") else _flag("freeze", c.transfer.freeze)
    ),
    "features cached": _cached,
    "cache asked for": lambda c: "--cache-features true" if c.transfer.cache_features == "true" else "",
    "random weights": lambda c: "--weights none" if c.transfer.weights == "none" else "",
    "unfreezing": _unfreezing,
    "unfreezing too late": _too_late,
    "head solved": lambda c: "--head solved" if c.transfer.head == "solved" else "",
    "mask loss": lambda c: _when("mask-loss", c.optim.mask_loss, 0.0),
    "embedding loss": lambda c: _when("embedding-loss", c.loss.embedding_loss, "none"),
    "consistency": lambda c: _when("augmix-consistency", c.loss.augmix_consistency, 0.0),
    "teacher": lambda c: _when("teacher", c.loss.teacher, ""),
    "imbalance": lambda c: _when("imbalance", c.loss.imbalance, "none"),
    "binary loss": lambda c: _flag("loss", c.loss.loss) if is_binary(c.loss.loss) else "",
    "softmax loss": lambda c: (
        "" if c.loss.loss == "auto" or is_binary(c.loss.loss) else _flag("loss", c.loss.loss)
    ),
    "one epoch": lambda c: str(c.optim.epochs) if _decided(c, "epochs") and c.optim.epochs < 2 else "",
    "epochs": lambda c: _flag("epochs", c.optim.epochs) if _decided(c, "epochs") else "",
    "measured batch": lambda c: "--batch-size fastest" if c.optim.batch_size == "fastest" else "",
    "several hosts": lambda c: "--strategy multiworker" if c.run.strategy == "multiworker" else "",
    "prediction sets": lambda c: (
        ""
        if c.calibration.prediction_sets in ("auto", "none")
        else _flag("prediction-sets", c.calibration.prediction_sets)
    ),
    "abstain": lambda c: _when("abstain", c.calibration.abstain, "none"),
    "preview": lambda c: _when("preview", c.run.preview, 0),
    "lr find": lambda c: "--lr-find" if c.run.lr_find else "",
}
"""What settings can ask for, by name: the flags as the user gave them, empty where they do not ask for it."""
