"""Decides, before anything is trained, what the settings left to `auto`."""

from dataclasses import dataclass
from typing import Any

from imgrec.config import Config
from imgrec.data import adapt
from imgrec.data.augment.compose import compose
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.learning import transfer
from imgrec.models import info
from imgrec.spec import Spec
from imgrec.tasks.task import Task

SMALL = 64
"""Images up to this many pixels a side keep their size and get a small-image network."""


@dataclass(frozen=True)
class Plan:
    """The settings with every `auto` decided, and what follows from them."""

    config: Config
    preprocess: Preprocess
    model: dict[str, Any]
    """Arguments of `build_model`, as run.json records them: name, input_shape, num_classes, options."""


def make_plan(config: Config, source: Source, task: Task) -> Plan:
    """Choose model, image size, colour and crop for `source`, where `config` leaves them open.

    Raises:
        InputError: an unknown model, or one that is not made for such small images, or settings of
            transfer that contradict each other, or an unknown adaptive step.
    """
    own = source.side
    asked = Spec.named(config.model.model, "--model")
    name = asked.name
    if name == "auto":
        name = "resnet20" if max(own, config.data.image_size) <= SMALL else "resnet18"
        if config.transfer.weights == "imagenet":
            name = "efficientnet_lite0"
    default = info(name).image_size
    transfer.frozen_until(config.transfer.freeze, name)
    # Learned weights expect things as large as they were in the images that they learned from.
    keep = own <= SMALL and config.transfer.weights == "none"
    size = config.data.image_size or (own if keep else default)
    colour = source.colour if config.data.colour == "auto" else config.data.colour
    cache, crop = transfer.wants_cache(config), config.augment.crop
    if crop == "auto":
        crop = "pad" if size <= SMALL else "random_resized"
    parts = crop == "random_resized"
    if config.augment.augment:
        crop, parts = "none", compose(config.augment.augment, (size, size), config.run.seed).whole
    if cache and not config.transfer.unfreeze_at:
        crop, parts = "none", False  # the head sees features of whole images, all the time
    decided = config.replace(
        model=str(Spec(name, (), asked.options)),
        image_size=size,
        colour=colour,
        crop=crop,
        cache_features=str(cache).lower(),
        adapt=adapt.canonical(config.data.adapt),
    )
    preprocess = Preprocess(
        size=(size, size),
        colour=colour,
        resize=config.data.resize,
        # Training sees random parts of an image; testing on 7/8 of its middle shows things as large
        # (Touvron et al., 2019, arXiv 1906.06423).
        crop_fraction=0.875 if config.data.resize == "crop" and parts else 1.0,
        max_pixels=config.data.max_pixels,
        adapt=decided.data.adapt,
        bits=source.bits,
    )
    model = {
        "name": name,
        "input_shape": [size, size, 1 if colour == "grey" else 3],
        "num_classes": task.outputs,
        "options": dict(asked.options),
    }
    return Plan(decided, preprocess, model)
