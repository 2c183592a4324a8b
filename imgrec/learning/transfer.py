"""Transfer learning: a frozen backbone first, from cached features where that is right, then all of it."""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from imgrec.config import AugmentConfig, Config
from imgrec.data.pipeline import images_of_step
from imgrec.learning import probe
from imgrec.learning.features import Features, cached_features
from imgrec.learning.method import Method
from imgrec.learning.session import Session
from imgrec.models import info
from imgrec.models.pretrained import load_pretrained
from imgrec.registry import lookup
from imgrec.training.phase import Phase, Solved, Stream

BACKBONE = "features"
"""The endpoint that ends the backbone."""


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
    return config.transfer.cache_features == "true" or not changing(config.augment)


def changing(augment: AugmentConfig) -> list[str]:
    """Return the settings that change images in ways that nothing cached of an image shows, as flags."""
    crop = [f"--crop {augment.crop}"] if augment.crop in ("pad", "random_resized") else []
    crop += [f"--augment {augment.augment!r}"] if augment.augment else []
    others = {"mixup": augment.mixup, "cutmix": augment.cutmix, "erasing": augment.erasing}
    return crop + [f"--{name} {value:g}" for name, value in others.items() if value]


def notes(config: Config) -> tuple[str, ...]:
    """What caching rules out, or is ruled out by, one line each; `config` is as the user gave it."""
    lost = ", ".join(changing(config.augment))
    if config.transfer.freeze != "backbone" or not lost or config.transfer.cache_features == "false":
        return ()
    if wants_cache(config):
        return (f"{lost}: not applied while the head trains on cached features",)
    return (f"features are not cached, because of {lost}; --cache-features true trains the head without",)


class Transfer(Method):
    """`--freeze`: a part of the network stays as it is, on cached features where that is right; then all."""

    trait = "frozen"

    def phases(self, session: Session, epochs: int) -> list[Phase]:
        """Return the frozen phase, and that of all layers; cached features are computed here."""
        transfer = session.config.transfer
        endpoint, until = frozen_until(transfer.freeze, session.model.name), transfer.unfreeze_at or epochs
        if transfer.head == "solved":
            first: Phase = _Features(session).solved(until)
        elif transfer.cache_features == "true":
            first = _Features(session).trained(until)
        else:
            first = Phase(session.stream(until), session.validation(), until, frozen=endpoint)
        if until == epochs:
            return [first]
        held = transfer.head == "solved"
        images = session.stream(epochs - until, until)
        return [first, Phase(images, session.validation(), epochs, hold_statistics=held)]


class _Features:
    """The backbone's cached features of a session's images, and the head that learns from them."""

    def __init__(self, session: Session) -> None:
        self.session, model, source = session, session.model, session.source
        mirrored = {"train", "val"} if session.config.transfer.head == "solved" else {"train"}
        middle = model.get_layer(BACKBONE).output
        backbone = keras.Model(model.inputs, middle, name=f"{model.name}_backbone")
        self.head = keras.Model(middle, model.output, name=f"{model.name}_head")
        self.of = cached_features(
            backbone,
            {"train": source.train, "val": source.val},
            session.preprocess,
            source.fingerprint,
            mirrored=frozenset(mirrored if session.config.augment.flip else ()),
        )
        self.feed = session.feed()

    def trained(self, until: int) -> Phase:
        """The phase in which the head is fitted step by step."""
        session, feed, steps = self.session, self.feed, until * self.session.steps_per_epoch

        def left(done: int) -> tf.data.Dataset:
            return self.of["train"].training_dataset(feed, steps=steps - done, start_step=done)

        images = Stream(left, lambda step: images_of_step(session.source.train, feed, step))
        return Phase(images, self._once("val", len(session.validation_split())), until, part=self.head)

    def solved(self, until: int) -> Phase:
        """The phase in which the head is solved.

        The strength is chosen on the training images, and the head that validation judges has learned from
        those only. Where no later epoch is better, that of the finished model learns from validation images
        too, with the same strength: they have nothing to choose any more.
        """
        train, val = self.of["train"], self.of["val"]

        @functools.cache
        def strength() -> float:
            return probe.choose(train.views[0], train.labels, self._outputs, self.session.config.run.seed)

        def solve() -> None:
            print("head: logistic regression on features, its strength cross-validated", flush=True)
            self._put([train], strength())
            print(f"head: C = {strength():.2g} by {probe.FOLDS} folds", flush=True)

        def settle() -> None:
            print(f"head: solved again (C = {strength():.2g}), on the validation images too", flush=True)
            self._put([train, val], strength())

        return Solved(
            train=self._once("train"),
            validation=self._once("val"),
            until=until,
            part=self.head,
            solve=solve,
            settle=settle,
        )

    @property
    def _outputs(self) -> int:
        return self.session.task.outputs

    def _once(self, name: str, images: int | None = None) -> tf.data.Dataset:
        return self.of[name].evaluation_dataset(self.feed.targets, self.session.batch_size, images)

    def _put(self, parts: Sequence[Features], strength: float) -> None:
        """Give the head the weights that fit all views of `parts`; two views of an image count as one."""
        views = [view for part in parts for view in part.views]
        labels = np.concatenate([part.labels for part in parts for _ in part.views])
        weight = sum(len(part.labels) for part in parts) / len(labels)
        solved = probe.solve(np.concatenate(views), labels, self._outputs, strength * weight)
        self.session.model.get_layer("logits").set_weights([solved.kernel, solved.bias])


def summary(config: Config) -> str:
    """What learns and when, in one line for the overview; `config` has every `auto` decided."""
    transfer, epochs = config.transfer, config.optim.epochs
    parts = [f"weights: {transfer.weights}"]
    if transfer.freeze != "none":
        until = transfer.unfreeze_at or epochs
        cached = ", on features computed once" if transfer.cache_features == "true" else ""
        if transfer.head == "solved":
            parts.append(f"the head: logistic regression on the {transfer.freeze}'s features")
        else:
            parts.append(f"epochs 1 to {until}: {transfer.freeze} frozen{cached}")
        if until < epochs:
            parts.append(f"then all layers to {epochs}")
    if config.optim.layer_decay != 1 and (transfer.freeze == "none" or transfer.unfreeze_at):
        parts.append(f"rate × {config.optim.layer_decay:g} a depth group")
    return "; ".join(parts)
