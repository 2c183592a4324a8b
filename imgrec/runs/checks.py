"""Settings that cannot be meant, refused before any data is read."""

from imgrec.config import AugmentConfig, Config
from imgrec.config.facts import check_bounds
from imgrec.data import adapt
from imgrec.errors import InputError
from imgrec.training.checkpointing.interval import Interval


def check(config: Config) -> None:
    """Refuse numbers that cannot be meant, and unknown adaptive steps, before any data is read."""
    from imgrec import runtime

    check_bounds(config)
    if config.run.strategy == "multiworker":
        _check_workers(config)
    adapt.parse(config.data.adapt)
    Interval.parse(config.run.checkpoint_every)
    if config.optim.batch_size == "auto" and (
        config.run.strategy == "multiworker" or config.transfer.freeze == "backbone"
    ):
        raise InputError("--batch-size auto: times a whole network on one host; name a number")
    if config.run.monitor_every and runtime.backend() != "tensorflow":
        raise InputError(f"--monitor-every: written for TensorFlow, and the backend is {runtime.backend()}")
    if config.optim.mask_loss:
        _check_mask_loss(config)
    if config.augment.augment:
        _check_line(config.augment)


def _check_workers(config: Config) -> None:
    """Refuse what one host must do alone."""
    run, transfer = config.run, config.transfer
    for flag, asked in {"--preview": run.preview, "--lr-find": run.lr_find}.items():
        if asked:
            raise InputError(f"{flag}: one host is enough: --strategy none")
    if transfer.freeze == "backbone" and transfer.cache_features != "false":
        raise InputError("--freeze backbone: features are made on one host, in seconds: --strategy none")


def _check_line(augment: AugmentConfig) -> None:
    """Refuse a line that cannot be read, or that a flag contradicts."""
    from imgrec.data.augment.compose import parse

    parse(augment.augment)
    if augment.crop not in ("auto", "none"):
        raise InputError(
            f"--crop {augment.crop}: --augment says it all; put crop(pad=4) or resized_crop there"
        )


def _check_mask_loss(config: Config) -> None:
    """Refuse a loss of the occlusion mask that nothing could be learned from."""
    augment, weight = config.augment, config.optim.mask_loss
    if not augment.erasing:
        raise InputError(f"--mask-loss {weight}: nothing is hidden without erasing: add --erasing 0.5")
    if (augment.mixup or augment.cutmix) and augment.mix_probability:
        raise InputError(f"--mask-loss {weight}: cannot follow what is hidden in mixed images; use no mixing")
    if config.transfer.freeze != "none":
        raise InputError(f"--mask-loss {weight}: expected a network that learns as a whole: --freeze none")
