"""What a model is to beat: one answer for every image, and a quick model; and whether it does."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics import paired
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.wording import percent
from imgrec.phrases import Phrase, listed

Verdict = Literal["better", "no better", "worse"]
_SHUFFLES = 199
"""The smallest p value that shuffling can show is one of 200."""


@dataclass(frozen=True)
class Quick:
    """A model that takes seconds, and which of the images of the split it gets right.

    name: in words, such as `logistic regression on features`.
    right: bool `[N]`, in the order of the split.
    """

    name: str
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Baseline:
    """What a baseline gets right on the images of a split, and how the model stands beside it.

    name: in words, such as `always 'food'`.
    accuracy: the baseline's share of images that are right, with its Wilson interval.
    difference: the model's share less the baseline's, -1…1.
    p_value: of the model being no different; see `of_constant` and `of_quick`.
    verdict: on the model; `no better` also where the images cannot tell.
    """

    name: str
    accuracy: float
    accuracy_interval_95: list[float]
    images: int
    difference: float
    p_value: float
    verdict: Verdict

    @property
    def sentence(self) -> Phrase:
        """What the model is beside it, such as `better than always 'food' by 63.0 points (p < 0.001)`."""
        points, chance = f"{100 * abs(self.difference):.1f}", self._chance
        if self.verdict == "better":
            return Phrase(
                "better than {name} by {points} points ({p})", name=self.name, points=points, p=chance
            )
        if self.verdict == "worse":
            return Phrase(
                "worse than {name} by {points} points ({p})", name=self.name, points=points, p=chance
            )
        if self.difference <= 0:
            return Phrase("no better than {name} ({share})", name=self.name, share=percent(self.accuracy))
        return Phrase(
            "not shown to be better than {name} ({points} points on {images:,} images may be luck, {p})",
            name=self.name,
            points=points,
            images=self.images,
            p=chance,
        )

    @property
    def _chance(self) -> str:
        return f"p = {self.p_value:.3f}" if self.p_value >= 0.001 else "p < 0.001"


@dataclass(frozen=True)
class Standing:
    """How a model stands on a split.

    accuracy: share of images that are right (of multi-label images: in all labels), with its Wilson interval.
    baselines: `largest_class` and `quick`, those that there are.
    by_chance: whether it is not shown to answer better than the constant answer, nor better than its own
        answers dealt out to other images: it has not learned what the images show.
    """

    accuracy: float
    accuracy_interval_95: list[float]
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    by_chance: bool = False

    def line(self, split: str = "test", share: str = "accuracy") -> str:
        """Return `test accuracy 85.2 % (68 to 94) · always 'food': 22.2 % · …`; the interval is of 95 %.

        `split` is the name of the split, `share` what the share of right images is called.
        """
        low, high = self.accuracy_interval_95
        own = f"{split} {share} {percent(self.accuracy)} ({100 * low:.0f} to {100 * high:.0f})"
        return " · ".join(
            [own, *(f"{each.name}: {percent(each.accuracy)}" for each in self.baselines.values())]
        )

    @property
    def sentence(self) -> Phrase:
        """What the model is beside its baselines; empty without any."""
        told = listed([each.sentence for each in self.baselines.values()])
        return Phrase("the model is {told}", told=told) if told else told

    def record(self) -> dict[str, Any]:
        """Return what metrics.json has of it; nothing without a baseline."""
        if not self.baselines:
            return {}
        rows = {name: asdict(each) for name, each in self.baselines.items()}
        return {"baselines": rows, "by_chance": self.by_chance}


def stand(
    right_of: Callable[[NDArray[np.integer]], NDArray[np.bool_]],
    images: int,
    constant: tuple[str, NDArray[np.bool_]] | None = None,
    quick: Quick | None = None,
) -> Standing:
    """Judge a model by what it gets right, beside the baselines that there are.

    Args:
        right_of: order int `[N]` → bool `[N]`: which images are right if image i is given the answer to
            image `order[i]`.
        images: N ≥ 1.
        constant: an answer in words, and which images it gets right; None where there is no such answer.
        quick: a quick model, if one was trained.

    Raises:
        InputError: `quick` has answered for other images.
    """
    right = right_of(np.arange(images))
    hits = int(right.sum())
    baselines = {} if constant is None else {"largest_class": of_constant(constant[0], right, constant[1])}
    luck = any(each.verdict == "no better" for each in baselines.values()) and _dealt_out(right_of, right)
    if quick is not None:
        baselines["quick"] = of_quick(quick, right)
    return Standing(hits / images, wilson_interval(hits, images), baselines, luck)


def _dealt_out(
    right_of: Callable[[NDArray[np.integer]], NDArray[np.bool_]], right: NDArray[np.bool_]
) -> bool:
    """Return whether shuffling the answers leaves as many right in more than one of twenty shufflings."""
    draw = np.random.default_rng(0)
    as_many = sum(right_of(draw.permutation(len(right))).sum() >= right.sum() for _ in range(_SHUFFLES))
    return bool((1 + as_many) / (1 + _SHUFFLES) > paired.SIGNIFICANT)


def of_constant(answer: str, right: NDArray[np.bool_], constant_right: NDArray[np.bool_]) -> Baseline:
    """Judge a model beside one answer for every image, whose share of right ones is taken as given.

    `p_value` is the chance of as many right answers, or more, at that share: the exact binomial.

    Args:
        answer: in words, such as a class's name.
        right: bool `[N]`, which images the model gets right.
        constant_right: the same of the constant answer.
    """
    from scipy.stats import binomtest

    share, hits = float(constant_right.mean()), int(right.sum())
    p_value = float(binomtest(hits, len(right), share, alternative="greater").pvalue)
    difference = hits / len(right) - share
    shown = difference > 0 and p_value < paired.SIGNIFICANT
    verdict: Verdict = "better" if shown else "no better"
    return _baseline(Phrase("always '{answer}'", answer=answer), constant_right, difference, p_value, verdict)


def of_quick(quick: Quick, right: NDArray[np.bool_]) -> Baseline:
    """Judge a model beside a quick one on the same images; `p_value` is `paired.mcnemar`.

    Raises:
        InputError: `quick` has answered for other images.
    """
    found = paired.from_answers(right, quick.right)
    shown: Verdict = "better" if found.difference > 0 else "worse"
    verdict = shown if found.differs else "no better"
    return _baseline(quick.name, quick.right, found.difference, found.p_value, verdict)


def _baseline(
    name: str, right: NDArray[np.bool_], difference: float, p_value: float, verdict: Verdict
) -> Baseline:
    hits, images = int(np.sum(right)), len(right)
    interval = wilson_interval(hits, images)
    return Baseline(name, hits / images, interval, images, difference, p_value, verdict)
