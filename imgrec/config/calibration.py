"""The settings of what a run is to know of its own sureness."""

from dataclasses import dataclass
from typing import Literal

from imgrec.config.facts import setting

Method = Literal["auto", "none", "temperature", "vector"]
SetMethod = Literal["auto", "none", "lac", "aps", "aps_randomised"]


@dataclass(frozen=True)
class CalibrationConfig:
    """What is fitted on the validation images after training, and obeyed by every answer and file."""

    calibrate: Method = setting("auto", resume=True, tune=False)
    """How logits are scaled so that probabilities come true: none, temperature (one factor, which changes no
    answer) or vector (a factor and a shift for each class, where validation shows it to be better). auto:
    temperature, where there are validation images enough and they show it to be better."""
    prediction_sets: SetMethod = setting("auto", resume=True, tune=False)
    """Beside the answer a set of classes that holds the label for a share --coverage of such images: lac (the
    smallest sets), aps (larger for hard images), aps_randomised (as aps, chance deciding of classes on the
    edge) or none. auto: lac, where there are validation images enough."""
    coverage: float = setting(0.9, above=0, below=1, resume=True, tune=False)
    """The share of images whose prediction set holds the label."""
    abstain: str = setting("none", resume=True, tune=False)
    """When no answer is given: "risk(0.05)" (of those given 5 % are wrong at most), "coverage(0.8)" (8 of 10
    images get one at least), both with confidence=0.95 of the promise; none: never."""
