"""Settings that cannot be meant, refused before any data is read."""

from imgrec.config import AugmentConfig, Config
from imgrec.data import adapt
from imgrec.errors import InputError
from imgrec.training.checkpointing.interval import Interval


def check(config: Config) -> None:
    """Refuse numbers that cannot be meant, and unknown adaptive steps, before any data is read."""
    from imgrec import runtime

    if config.run.strategy == "multiworker":
        _check_workers(config)
    adapt.parse(config.data.adapt)
    Interval.parse(config.run.checkpoint_every)
    optim, quantize = config.optim, config.quantize
    positive = {"epochs": optim.epochs, "learning_rate": optim.learning_rate}
    if optim.batch_size != "auto":
        positive["batch_size"] = optim.batch_size
    elif config.run.strategy == "multiworker" or config.transfer.freeze == "backbone":
        raise InputError("--batch-size auto: times a whole network on one host; name a number")
    positive["calibration_images"] = quantize.calibration_images
    if quantize.quantize == "qat":
        positive |= {"qat_epochs": quantize.qat_epochs, "qat_learning_rate": quantize.qat_learning_rate}
    for name, value in positive.items():
        if value <= 0:
            raise InputError(f"--{name.replace('_', '-')} {value}: expected more than 0")
    for name, share in {
        "label_smoothing": optim.label_smoothing,
        "mix_probability": config.augment.mix_probability,
        "cutmix_share": config.augment.cutmix_share,
        "crop_share": config.augment.crop_share,
        "erasing": config.augment.erasing,
        "erasing_area": config.augment.erasing_area,
    }.items():
        if not 0 <= share <= 1:
            raise InputError(f"--{name.replace('_', '-')} {share}: expected a share from 0 to 1")
    if not 0 <= config.run.preview <= 1000:
        raise InputError(f"--preview {config.run.preview}: expected 1 to 1000 images, or 0 to train")
    if config.run.monitor_every < 0:
        raise InputError(f"--monitor-every {config.run.monitor_every}: expected a number of steps, or 0")
    if config.run.monitor_every and runtime.backend() != "tensorflow":
        raise InputError(f"--monitor-every: written for TensorFlow, and the backend is {runtime.backend()}")
    augment = config.augment
    if min(augment.mixup, augment.cutmix, augment.mix_epochs, optim.weight_decay, optim.warmup_epochs) < 0:
        raise InputError(
            "--mixup, --cutmix, --mix-epochs, --weight-decay and --warmup-epochs: expected 0 or more"
        )
    if optim.mask_loss:
        _check_mask_loss(config)
    if augment.augment:
        _check_line(augment)


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
    if weight < 0:
        raise InputError(f"--mask-loss {weight}: expected 0 or more")
    if not augment.erasing:
        raise InputError(f"--mask-loss {weight}: nothing is hidden without erasing: add --erasing 0.5")
    if (augment.mixup or augment.cutmix) and augment.mix_probability:
        raise InputError(f"--mask-loss {weight}: cannot follow what is hidden in mixed images; use no mixing")
    if config.transfer.freeze != "none":
        raise InputError(f"--mask-loss {weight}: expected a network that learns as a whole: --freeze none")
