"""What follows from the settings once they are numbers: preprocessing, and the network to build."""

from dataclasses import dataclass
from typing import Any

from imgrec.config import Config
from imgrec.data import adapt
from imgrec.data.augment.compose import compose
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.learning import transfer
from imgrec.models import info
from imgrec.runs import deciding
from imgrec.spec import Spec
from imgrec.tasks.task import Task


@dataclass(frozen=True)
class Plan:
    """The settings with size, colour and crop decided too, and what follows from them."""

    config: Config
    preprocess: Preprocess
    model: dict[str, Any]
    """Arguments of `build_model`, as run.json records them: name, input_shape, num_classes, options."""


def make_plan(config: Config, source: Source, task: Task) -> Plan:
    """Choose image size, colour and crop for `source`, where `config` leaves them open.

    `config` has what `deciding.network` and `deciding.numbers` chose.

    Raises:
        InputError: an image size that the network is not made for, or settings of transfer that contradict
            each other, or an unknown adaptive step.
    """
    own = source.side
    spec = Spec.parse(config.model.model)
    default = info(spec.name).image_size
    transfer.frozen_until(config.transfer.freeze, spec.name)
    # Learned weights expect things as large as they were in the images that they learned from.
    keep = own <= deciding.SMALL and config.transfer.weights == "none"
    size = config.data.image_size or (own if keep else default)
    colour = source.colour if config.data.colour == "auto" else config.data.colour
    cache = transfer.wants_cache(config)
    crop = deciding.crop(config, size)
    parts = crop == "random_resized"
    if config.augment.augment:
        crop, parts = "none", compose(config.augment.augment, (size, size), config.run.seed).whole
    if cache and not config.transfer.unfreeze_at:
        crop, parts = "none", False  # the head sees features of whole images, all the time
    decided = config.replace(
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
        "name": spec.name,
        "input_shape": [size, size, 1 if colour == "grey" else 3],
        "num_classes": task.outputs,
        "options": dict(spec.options),
    }
    return Plan(decided, preprocess, model)
