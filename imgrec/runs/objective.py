"""What training minimises, in which order it sees the images, and in which phases."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgrec.config import Config
from imgrec.data.sources.load import Source
from imgrec.errors import InputError
from imgrec.spec import Spec

if TYPE_CHECKING:
    from imgrec.runs.session import Job


@dataclass(frozen=True)
class Objective:
    """The settings' losses, built, and what is done about classes of unequal size."""

    loss: Any
    """On targets and logits, a `keras.losses.Loss`."""
    embedding_loss: Any
    """On class numbers and features, or None."""
    balance: Any
    """An `imgrec.learning.imbalance.Balance`."""
    score: str = "accuracy"
    """What the best epoch is best in, of those of `training.fit`."""


def for_labels(config: Config, source: Source) -> Config:
    """Return the settings that fit the labels: images with several learn by a sigmoid each.

    Raises:
        InputError: several labels, and a setting that needs one class an image.
    """
    settings, loss = config.loss, Spec.named(config.loss.loss, "--loss").name
    if not source.several:
        return config
    if settings.imbalance != "none":
        raise InputError(
            f"--imbalance {settings.imbalance}: expected one label an image, and these have several"
        )
    if settings.embedding_loss != "none":
        raise InputError(
            f"--embedding-loss {settings.embedding_loss}: expected one label an image, and these have several"
        )
    if loss == "focal":
        raise InputError("--loss focal compares the classes, and these images have several: use binary_focal")
    return config.replace(loss="binary_cross_entropy") if loss == "cross_entropy" else config


def decide(config: Config, source: Source) -> Objective:
    """Build the losses that `config` asks for and choose the recipe against imbalance.

    Raises:
        InputError: an unknown loss, recipe or option, or settings that do not go together.
    """
    from imgrec.learning import imbalance
    from imgrec.losses import build_embedding_loss

    settings, counts = config.loss, source.train.counts(len(source.classes))
    asked = Spec.named(settings.loss, "--loss")
    if source.several:
        balance = imbalance.Balance("none", tuple(counts.tolist()))
    else:
        recipe = Spec.named(settings.imbalance, "--imbalance")
        balance = imbalance.choose(recipe.name, recipe.options, counts, source.classes, asked.name)
    loss = balance.loss(asked.name, config.optim.label_smoothing, asked.options)
    embedding = None
    if settings.embedding_loss != "none":
        _check_embedding(config)
        beside = Spec.named(settings.embedding_loss, "--embedding-loss")
        embedding = build_embedding_loss(beside.name, beside.options)
    if settings.augmix_consistency:
        _check_consistency(config)
    if balance.recipe == "decoupled":
        _check_decoupled(config)
    return Objective(loss, embedding, balance, "f1" if source.several else balance.score)


def _check_embedding(config: Config) -> None:
    """Refuse what leaves images without a class of their own, or features that cannot move."""
    augment, settings = config.augment, config.loss
    asked = f"--embedding-loss {settings.embedding_loss}"
    if (augment.mixup or augment.cutmix) and augment.mix_probability:
        raise InputError(f"{asked}: a mixed image has no class of its own; use no mixing")
    if config.transfer.freeze != "none":
        raise InputError(f"{asked}: expected features that learn: --freeze none")
    if config.optim.mask_loss:
        raise InputError(f"{asked}: one loss beside that of the logits, please: leave out --mask-loss")
    if settings.embedding_weight <= 0:
        raise InputError(f"--embedding-weight {settings.embedding_weight:g}: expected more than 0")


def _check_consistency(config: Config) -> None:
    """Refuse what would change the views of an image apart, or a second loss beside this one."""
    from imgrec.losses import BINARY

    weight, augment = config.loss.augmix_consistency, config.augment
    asked = f"--augmix-consistency {weight:g}"
    if weight < 0:
        raise InputError(f"{asked}: expected 0 or more, such as 12")
    if (augment.mixup or augment.cutmix) and augment.mix_probability:
        raise InputError(f"{asked}: compares views of one image, and a mixed one is of two; use no mixing")
    if "augmix" in augment.augment:
        raise InputError(f"{asked}: makes its own AugMix views; take augmix out of --augment")
    if config.transfer.freeze != "none":
        raise InputError(f"{asked}: expected a network that learns as a whole: --freeze none")
    if Spec.named(config.loss.loss, "--loss").name in BINARY:
        raise InputError(f"{asked}: compares softmax answers, and --loss {config.loss.loss} gives none")
    if config.optim.mask_loss or config.loss.embedding_loss != "none":
        raise InputError(f"{asked}: one loss beside that of the logits, please: leave out the other")


def _check_decoupled(config: Config) -> None:
    """Refuse what contradicts a backbone that learns first and is then held."""
    if config.transfer.freeze != "none":
        raise InputError(
            f"--imbalance decoupled trains the backbone before it holds it, and --freeze "
            f"{config.transfer.freeze} holds it from the start: use --imbalance balanced"
        )
    if config.optim.mask_loss:
        raise InputError("--imbalance decoupled does not go with --mask-loss: use --imbalance logit")
    if config.loss.augmix_consistency:
        raise InputError("--imbalance decoupled does not go with --augmix-consistency: use --imbalance logit")
    if config.optim.epochs < 2:
        raise InputError(f"--imbalance decoupled: expected 2 epochs or more, got {config.optim.epochs}")


def phases(job: "Job") -> list[Any]:
    """Return what is trained on what, for how many epochs."""
    from imgrec import runtime
    from imgrec.learning import transfer
    from imgrec.learning.auxiliary_loss import EmbeddingSupervised
    from imgrec.learning.consistency import Consistent
    from imgrec.learning.mask_loss import MaskSupervised
    from imgrec.training.phase import Phase

    config, objective = job.config, job.objective
    part = None
    with runtime.scope(job.strategy):
        if config.optim.mask_loss:
            part = MaskSupervised(job.model, config.optim.mask_loss)
        if objective.embedding_loss:
            part = EmbeddingSupervised(job.model, objective.embedding_loss, config.loss.embedding_weight)
        if config.loss.augmix_consistency:
            part = Consistent(job.model, config.loss.augmix_consistency)

    def training(epochs: int, first_epoch: int, sampling: str = "") -> Any:
        visibility, views = bool(config.optim.mask_loss), bool(config.loss.augmix_consistency)
        return job.training_stream(epochs, first_epoch, visibility, views, sampling)

    def first(epochs: int) -> list[Phase]:
        if part is not None:
            return [Phase(training(epochs, 0), job.validation_dataset(), epochs, part=part)]
        shortened = config.replace(epochs=epochs)
        plain = transfer.Batches(
            training,
            job.validation_dataset,
            job.batch_size,
            objective.balance.sampling,
            runtime.even_images(len(job.source.val), job.strategy),
        )
        return transfer.phases(job.model, shortened, job.source, job.preprocess, plain)

    return objective.balance.stages(config.optim.epochs, first, training)


def summary(config: Config, objective: Objective) -> str:
    """The losses and the recipe in one line for the overview."""
    settings, balance = config.loss, objective.balance
    parts = [settings.loss]
    if objective.embedding_loss:
        parts.append(f"{settings.embedding_weight:g} × {settings.embedding_loss}")
    if settings.augmix_consistency:
        parts.append(f"{settings.augmix_consistency:g} × AugMix consistency")
    if balance.recipe != "none":
        values = "".join(f" {name}={value:g}" for name, value in balance.options.items())
        parts.append(f"imbalance: {balance.recipe}{values}")
    return ", ".join(parts)
