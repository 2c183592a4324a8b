"""What is to be beaten: the answer that never looks at the image, and a quick model; and whether it was."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics import paired
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.wording import percent

Verdict = Literal["better", "no better", "worse"]


@dataclass(frozen=True)
class Quick:
    """A model that takes seconds, and which of the images of the split it gets right.

    name: in words, such as `logistic regression on features`.
    right: bool `[N]`, in the order of the split (a prediction that equals the label).
    """

    name: str
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Baseline:
    """What a baseline gets right on the images of a split, and how the model stands beside it.

    name: in words, such as `always 'food'`.
    accuracy: the baseline's share of images that are right, and its Wilson interval.
    difference: the model's share less the baseline's, -1…1.
    p_value: of the model being no different; see `of_constant` and `of_quick`.
    verdict: on the model. `no better` also where the images cannot tell.
    """

    name: str
    accuracy: float
    accuracy_interval_95: list[float]
    images: int
    difference: float
    p_value: float
    verdict: Verdict

    def record(self) -> dict[str, Any]:
        """Return every field, ready for JSON."""
        return asdict(self)

    @property
    def tile(self) -> str:
        """The name as a title: `Always 'food'`."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def sentence(self) -> str:
        """What is to be said of the model beside it, such as `better than always 'food' by 63 points (p < …)`."""
        if self.verdict == "no better":
            told = f"{self.images:,} images cannot tell them apart, p = {self.p_value:.2f}"
            short = f" ({percent(self.accuracy)})" if self.difference <= 0 else f": {told}"
            return f"no better than {self.name}{short}"
        chance = f"p = {self.p_value:.3f}" if self.p_value >= 0.001 else "p < 0.001"
        return f"{self.verdict} than {self.name} by {100 * abs(self.difference):.1f} points ({chance})"


def of_constant(answer: str, right: NDArray[np.bool_], constant_right: NDArray[np.bool_]) -> Baseline:
    """Judge a model beside one and the same answer for every image, its share of right answers taken as known.

    `p_value` is the chance of as many right answers or more from a model that does not look at the image,
    by the exact binomial: such a model is right at most as often as the constant answer. For a stratified
    split that share is not drawn, it is given.

    Args:
        answer: in words, such as a class's name.
        right: bool `[N]`, which images the model gets right.
        constant_right: the same of the constant answer.
    """
    from scipy.stats import binomtest

    share = float(constant_right.mean())
    p_value = float(binomtest(int(right.sum()), len(right), share, alternative="greater").pvalue)
    difference = float(right.mean()) - share
    better = p_value < paired.SIGNIFICANT and difference > 0
    return _baseline(f"always '{answer}'", constant_right, difference, p_value, "better" if better else "no better")


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


def judge(
    right: NDArray[np.bool_],
    constant: tuple[str, NDArray[np.bool_]] | None,
    quick: Quick | None = None,
) -> dict[str, Baseline]:
    """Return the baselines that there are, `largest_class` and `quick`, each with the model beside it.

    Args:
        right: bool `[N]`, which images the model gets right.
        constant: an answer in words and which images it gets right, see `tasks.Task.constant`; None where
            the task has no such answer.
        quick: a quick model, if one was trained.
    """
    found = {} if constant is None else {"largest_class": of_constant(constant[0], right, constant[1])}
    return found if quick is None else {**found, "quick": of_quick(quick, right)}


def by_chance(baselines: dict[str, Baseline]) -> bool:
    """Whether a model is not shown to answer better than the one constant answer; False where that is unknown."""
    constant = baselines.get("largest_class")
    return constant is not None and constant.verdict == "no better"


def line(accuracy: float, images: int, baselines: dict[str, Baseline]) -> str:
    """Return `accuracy 85.2 % (67–94) · always 'food': 22.2 % · …`, the interval Wilson's of 95 %.

    Args:
        accuracy: share of the `images` that the model gets right.
        images: of the split, N.
        baselines: of the same images.
    """
    low, high = wilson_interval(round(accuracy * images), images)
    beside = [f"{each.name}: {percent(each.accuracy)}" for each in baselines.values()]
    return " · ".join([f"accuracy {percent(accuracy)} ({100 * low:.0f}–{100 * high:.0f})", *beside])
