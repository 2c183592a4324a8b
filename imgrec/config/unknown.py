"""The settings of what a run is to say of images unlike its training images."""

from dataclasses import dataclass

from imgrec.config.facts import setting


@dataclass(frozen=True)
class UnknownConfig:
    """What is said of images unlike those that were learned from."""

    false_alarms: float = setting(0.05, low=0, below=0.5, resume=True, tune=False)
    """The share of images like the training ones that may be called unlike them: the threshold is taken from
    validation images. 0: nothing is said."""
