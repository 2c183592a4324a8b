"""Transfer learning: a frozen backbone first, from cached features where that is right, then all of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from imgrec.config import AugmentConfig, Config
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import images_of_step, steps_per_epoch
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.errors import InputError
from imgrec.learning.features import cached_features
from imgrec.models import info
from imgrec.models.pretrained import load_pretrained
from imgrec.registry import lookup
from imgrec.training.phase import Phase, Stream

BACKBONE = "features"
"""The endpoint that ends the backbone."""


@dataclass(frozen=True)
class Batches:
    """Where a training's whole images come from; nothing is read before it is asked for.

    training: (epochs, first epoch) → what a `Phase` trains on: batches of (images, targets) for these epochs.
    validation: the validation images once, with targets.
    validated: how many of them that are, the first ones; None is all.
    sampling: the order of the training images, one of `data.sampling.SAMPLINGS`.
    """

    training: Callable[[int, int], Any]
    validation: Callable[[], Any]
    batch_size: int
    sampling: str = "natural"
    validated: int | None = None


def check(config: Config, model: str) -> None:
    """Refuse settings of transfer that contradict each other.

    Raises:
        InputError: names the setting and what was expected.
    """
    transfer, epochs = config.transfer, config.optim.epochs
    freeze, unfreeze_at = transfer.freeze, transfer.unfreeze_at
    frozen_until(freeze, model)
    if freeze != "none" and transfer.weights == "none":
        raise InputError(
            f"--freeze {freeze} would keep random weights as they are: name --weights imagenet or a file"
        )
    if unfreeze_at and freeze == "none":
        raise InputError(f"--unfreeze-at {unfreeze_at}: nothing is frozen; name --freeze backbone or stageN")
    if not 0 <= unfreeze_at < epochs:
        raise InputError(
            f"--unfreeze-at {unfreeze_at}: expected 0 (never) to {epochs - 1}, of {epochs} epochs"
        )
    if transfer.cache_features == "true" and freeze != "backbone":
        raise InputError(
            f"--cache-features true with --freeze {freeze}: features can be computed once only of a backbone "
            "that does not learn; name --freeze backbone"
        )


def load_weights(model: keras.Model, spec: str) -> str:
    """Give `model` the weights that `spec` names and say in one sentence what was done.

    A head for another number of classes than theirs is not loaded but starts at zero, as in Kolesnikov et
    al., "Big Transfer", 2020 (arXiv 1912.11370): no class is preferred, and no random direction has to be
    unlearned, which at a few classes (and so large initial weights) took most of a short training.

    Raises:
        InputError: as `load_pretrained`.
    """
    head = model.get_layer("logits")
    before = head.get_weights()
    said = load_pretrained(model, spec)
    if all(np.array_equal(old, new) for old, new in zip(before, head.get_weights(), strict=True)):
        head.set_weights([np.zeros_like(weight) for weight in before])
        said += "; the head starts at zero"
    return said


def frozen_until(freeze: str, model: str) -> str:
    """Return the endpoint up to which `freeze` holds a model; empty for `none`.

    Raises:
        InputError: the model has no such stage; the message lists those it has.
    """
    parts = [name for name in info(model).endpoints if name not in (BACKBONE, "logits")]
    known = {"none": "", "backbone": BACKBONE, **{name: name for name in parts}}
    return lookup(known, freeze, f"part of {model} to --freeze")


def wants_cache(config: Config) -> bool:
    """Whether the head shall train on cached features, `config.augment.crop` being as the user gave it."""
    if config.transfer.freeze != "backbone" or config.transfer.cache_features == "false":
        return False
    return config.transfer.cache_features == "true" or not _not_cached(config.augment)


def _not_cached(augment: AugmentConfig) -> list[str]:
    """The settings that change images in ways no cached feature shows."""
    crop = [f"--crop {augment.crop}"] if augment.crop in ("pad", "random_resized") else []
    crop += [f"--augment {augment.augment!r}"] if augment.augment else []
    others = {"mixup": augment.mixup, "cutmix": augment.cutmix, "erasing": augment.erasing}
    return crop + [f"--{name} {value:g}" for name, value in others.items() if value]


def notes(config: Config) -> tuple[str, ...]:
    """What caching rules out, or is ruled out by, one line each; `config` is as the user gave it."""
    lost = ", ".join(_not_cached(config.augment))
    if config.transfer.freeze != "backbone" or not lost or config.transfer.cache_features == "false":
        return ()
    if wants_cache(config):
        return (f"{lost}: not applied while the head trains on cached features",)
    return (f"features are not cached, because of {lost}; --cache-features true trains the head without",)


def phases(
    model: keras.Model, config: Config, source: Source, preprocess: Preprocess, batches: Batches
) -> list[Phase]:
    """Divide a training into its phases: the frozen one, where there is one, and that of all layers.

    `config` has every `auto` decided. Cached features are computed here.
    """
    transfer, epochs = config.transfer, config.optim.epochs
    endpoint = frozen_until(transfer.freeze, model.name)
    until = transfer.unfreeze_at or epochs
    if not endpoint:
        return [Phase(batches.training(epochs, 0), batches.validation(), epochs)]
    if transfer.cache_features == "true":
        first = _on_features(model, config, source, preprocess, batches, until)
    else:
        first = Phase(batches.training(until, 0), batches.validation(), until, frozen=endpoint)
    if until == epochs:
        return [first]
    return [first, Phase(batches.training(epochs - until, until), batches.validation(), epochs)]


def _on_features(
    model: keras.Model, config: Config, source: Source, preprocess: Preprocess, batches: Batches, until: int
) -> Phase:
    """The phase in which the head alone is fitted, on the backbone's cached features."""
    middle = model.get_layer(BACKBONE).output
    backbone = keras.Model(model.inputs, middle, name=f"{model.name}_backbone")
    head = keras.Model(middle, model.output, name=f"{model.name}_head")
    features = cached_features(
        backbone,
        {"train": source.train, "val": source.val},
        preprocess,
        source.fingerprint,
        mirrored=frozenset({"train"} if config.augment.flip else ()),
    )
    classes, seed, batch_size = len(source.classes), config.run.seed, batches.batch_size
    shown = order_of(source.train.labels, classes, batches.sampling, seed).size
    steps, sampling = until * steps_per_epoch(shown, batch_size), batches.sampling

    def left(done: int) -> Any:
        return features["train"].training_dataset(
            classes, batch_size, seed, steps=steps - done, start_step=done, sampling=sampling
        )

    def images(step: int) -> list[str]:
        return images_of_step(source.train, classes, batch_size, seed, sampling, step)

    return Phase(
        Stream(left, images),
        features["val"].evaluation_dataset(classes, batch_size, batches.validated),
        until,
        part=head,
    )


def summary(config: Config) -> str:
    """What learns and when, in one line for the overview; `config` has every `auto` decided."""
    transfer, epochs = config.transfer, config.optim.epochs
    parts = [f"weights: {transfer.weights}"]
    if transfer.freeze != "none":
        until = transfer.unfreeze_at or epochs
        cached = ", on features computed once" if transfer.cache_features == "true" else ""
        parts.append(f"epochs 1 to {until}: {transfer.freeze} frozen{cached}")
        if until < epochs:
            parts.append(f"then all layers to {epochs}")
    if transfer.layer_decay != 1:
        parts.append(f"rate × {transfer.layer_decay:g} a depth group")
    return "; ".join(parts)
