"""Settings that cannot be meant, refused before any data is read; which go together: `learning.conflicts`."""

from imgrec import runtime
from imgrec.config import Config
from imgrec.config.facts import check_bounds
from imgrec.data import adapt
from imgrec.errors import InputError
from imgrec.training.checkpointing.interval import Interval


def check(config: Config) -> None:
    """Refuse lines that cannot be read, and numbers out of bounds.

    Raises:
        InputError: names the setting and what was expected.
    """
    check_bounds(config)
    adapt.parse(config.data.adapt)
    Interval.parse(config.run.checkpoint_every)
    if config.augment.augment:
        from imgrec.data.augment.compose import parse

        parse(config.augment.augment)
    if config.run.monitor_every and runtime.backend() != "tensorflow":
        raise InputError(f"--monitor-every: written for TensorFlow, and the backend is {runtime.backend()}")
