"""A figure as a sceptic wants it: its value, its interval, and where one of them is missing, why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics import bootstrap
from imgrec.metrics.intervals import wilson_interval
from imgrec.phrases import Phrase

Reason = Literal[
    "no images", "only such images", "never named", "one class", "few images", "small class", "few wrong",
    "few right", "no spread", "not tuned",
]  # fmt: skip


class Gap(NamedTuple):
    """Why a figure lacks its value or its interval, and the number in that sentence."""

    reason: Reason
    n: int = 0

    @property
    def phrase(self) -> Phrase:
        """The reason as a clause."""
        n = self.n
        told: dict[Reason, Phrase] = {
            "no images": Phrase("no image of this class"),
            "only such images": Phrase("every image is of this class"),
            "never named": Phrase("no answer names this class"),
            "one class": Phrase("the images are of one class only"),
            "few images": Phrase("{n} images: too few for an interval", n=n),
            "small class": Phrase("a class has {n} images: too few for an interval", n=n),
            "few wrong": Phrase("{n} wrong answers: too few for an interval", n=n),
            "few right": Phrase("{n} right answers: too few for an interval", n=n),
            "no spread": Phrase("no two draws of the images differ: no interval"),
            "not tuned": Phrase("no validation answers to tune a threshold on"),
        }
        return told[self.reason]

    def __str__(self) -> str:
        """The reason in English."""
        return str(self.phrase)


@dataclass(frozen=True)
class Figure:
    """One figure of a split.

    value: None where it is not defined.
    interval_95: `[low, high]`, or None.
    method: how the interval was found: Wilson's of a share, or by drawing (`bootstrap.interval`).
    bootstrap_95: the 2.5th and 97.5th percentile of the draws, for comparison; None without an interval.
    gap: why value or interval is missing; None where both are there.
    """

    value: float | None
    interval_95: list[float] | None = None
    method: Literal["Wilson", "bootstrap"] | None = None
    bootstrap_95: list[float] | None = None
    gap: Gap | None = None

    def record(self, short: bool = False) -> dict[str, Any]:
        """Return it ready for JSON, the gap in English words; `short` without how the interval was found."""
        held: dict[str, Any] = {"value": self.value, "interval_95": self.interval_95}
        if self.interval_95 is not None and not short:
            held |= {"method": self.method, "bootstrap_95": self.bootstrap_95}
        return held | ({"gap": str(self.gap)} if self.gap else {})


def share(
    right: int, of: int, samples: NDArray[np.floating] | None = None, none: Reason = "no images"
) -> Figure:
    """Return a share of images with Wilson's interval, which holds for few images and none that are wrong.

    `none` names the gap where `of` is 0.
    """
    if not of:
        return Figure(None, gap=Gap(none))
    drawn = None if samples is None or not np.isfinite(samples).any() else bootstrap.percentiles(samples)
    return Figure(right / of, wilson_interval(right, of), "Wilson", drawn)


def drawn(
    value: float | None,
    samples: NDArray[np.floating],
    images: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    gap: Gap | None = None,
) -> Figure:
    """Return a figure with the interval of its draws; with a `gap` none, as the images are too few."""
    if value is None or not np.isfinite(value):
        return Figure(None, gap=gap or Gap("one class"))
    if gap is not None:
        return Figure(float(value), gap=gap)
    found = bootstrap.interval(float(value), samples, images, bounds)
    if found is None:
        return Figure(float(value), gap=Gap("no spread"))
    return Figure(float(value), found, "bootstrap", bootstrap.percentiles(samples))


@dataclass(frozen=True)
class Threshold:
    """The probability from which on a label is said, tuned for F1 on validation images.

    value: None where there are too few; then ½ is used, and `gap` says why.
    interval_95: percentiles of the same tuning on draws of the validation images.
    """

    label: str
    value: float | None
    interval_95: list[float] | None = None
    gap: Gap | None = None

    @property
    def used(self) -> float:
        """The threshold that figures are at."""
        return 0.5 if self.value is None else self.value

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        held = {"label": self.label, "value": self.value, "interval_95": self.interval_95, "used": self.used}
        return held | ({"gap": str(self.gap)} if self.gap else {})


@dataclass(frozen=True)
class Measures:
    """Every figure of a split, with its interval.

    overall: name → figure.
    classes: one mapping a class: name → figure.
    labels: the classes' names.
    support: images of each class.
    images: how many the figures are of; draws: how often they were drawn.
    thresholds: of a multi-label task with validation answers.
    """

    overall: Mapping[str, Figure]
    classes: Sequence[Mapping[str, Figure]]
    labels: Sequence[str]
    support: Sequence[int]
    images: int
    draws: int
    thresholds: Sequence[Threshold] = field(default=())

    def record(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        rows = zip(self.labels, self.support, self.classes, strict=True)
        held: dict[str, Any] = {
            "images": self.images,
            "draws": self.draws,
            "overall": {name: figure.record() for name, figure in self.overall.items()},
            "per_class": [
                {"label": label, "support": support}
                | {name: figure.record(short=True) for name, figure in figures.items()}
                for label, support, figures in rows
            ],
        }
        return held | ({"thresholds": [each.record() for each in self.thresholds]} if self.thresholds else {})


def few_of(support: Sequence[int] | NDArray[np.integer], images: int) -> Gap | None:
    """Return the gap of a mean over classes: one of them has too few images, or all others have."""
    held = [int(count) for count in support if count]
    least = min([*held, *(images - count for count in held if images - count)], default=0)
    return Gap("small class", least) if least < bootstrap.LEAST else None


def few_answers(right: int, images: int) -> Gap | None:
    """Return the gap of a figure of right and wrong answers: of one of the two there are too few."""
    if images - right < bootstrap.LEAST:
        return Gap("few wrong", images - right)
    return Gap("few right", right) if right < bootstrap.LEAST else None


def mean(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean over the classes `[C, B]` that are defined in a draw, `[B]`; NaN where none is."""
    there = np.isfinite(rows)
    with np.errstate(invalid="ignore"):
        return np.where(there, rows, 0.0).sum(axis=0, dtype=np.float64) / there.sum(axis=0)
