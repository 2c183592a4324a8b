"""What a run knows of its own sureness: how logits are scaled, sets that hold the label, when not to answer.

Fitted on validation images after the training, kept in `task.json`, and obeyed by whatever answers. NumPy
alone, as files are served by it; `runs.calibrating` fits.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.metrics import conformal

KEY = "calibration"
"""Where it stands in task.json."""
WANTED = ("risk", "coverage")


@dataclass(frozen=True)
class Scaling:
    """Logits times `factors` plus `shifts`, before they become probabilities.

    factors: one over the temperature, one value for all classes; or one for each class (vector scaling).
    shifts: of each class; empty: none.
    images: that it was fitted on.
    interval: 95 % interval of the temperature; empty for a vector.
    """

    factors: tuple[float, ...]
    shifts: tuple[float, ...] = ()
    images: int = 0
    interval: tuple[float, ...] = ()

    @property
    def method(self) -> str:
        """temperature, which changes no answer, or vector."""
        return "temperature" if len(self.factors) == 1 and not self.shifts else "vector"

    @property
    def temperature(self) -> float:
        """What logits are divided by: above 1 the network was too sure; of a vector, by the factors' mean."""
        return 1 / float(np.mean(self.factors))

    def __call__(self, outputs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return scaled logits, float32 `[N, C]`, of a network's."""
        scaled = np.asarray(outputs, np.float64) * np.asarray(self.factors)
        return (scaled + np.asarray(self.shifts) if self.shifts else scaled).astype(np.float32)

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        told: dict[str, Any] = {"method": self.method, "images": self.images}
        if self.method == "temperature":
            # Rounded, so that what is read is what was fitted: 1 / (1 / T) differs in the last digit.
            return {**told, "temperature": round(self.temperature, 9), "interval_95": list(self.interval)}
        return {**told, "factors": list(self.factors), "shifts": list(self.shifts)}


@dataclass(frozen=True)
class Sets:
    """Prediction sets that hold the label of a share `coverage` of images like the validation ones.

    method: a name in `metrics.conformal.SCORES`.
    threshold: how badly a class of a set may fit.
    images: that the threshold is from.
    """

    method: str
    coverage: float
    threshold: float
    images: int

    def members(self, scores: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which classes are in each image's set, bool `[N, C]`; the most probable always is."""
        return conformal.members(scores, self.method, self.threshold)


@dataclass(frozen=True)
class Abstention:
    """An answer less sure than `threshold` is none.

    wanted: risk (answers that are given are wrong no more often than `value`) or coverage (a share `value` of
        images gets an answer); with `confidence`, for images like the validation ones.
    images: that the threshold is from.
    """

    wanted: str
    value: float
    confidence: float
    threshold: float
    images: int

    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which images get no answer, bool `[N]`, by probabilities `[N, C]`."""
        return np.asarray(scores.max(axis=1) < np.float32(self.threshold))


@dataclass(frozen=True)
class Calibration:
    """All of it; None where a run does without that part."""

    scaling: Scaling | None = None
    sets: Sets | None = None
    abstention: Abstention | None = None

    def record(self) -> dict[str, Any]:
        """Return what task.json holds under `KEY`."""
        return {
            "scaling": self.scaling.record() if self.scaling else None,
            "sets": vars(self.sets) if self.sets else None,
            "abstention": vars(self.abstention) if self.abstention else None,
        }

    def told(self, scores: NDArray[np.floating], classes: Sequence[str]) -> list[dict[str, Any]]:
        """Return what each image's answer says of this: `set` and `coverage`, `abstained`; ready for JSON.

        The classes of a set stand by falling probability.
        """
        answers: list[dict[str, Any]] = [{} for _ in scores]
        if self.sets is not None:
            order = np.argsort(-scores, axis=1, kind="stable")
            for answer, row, inside in zip(answers, order, self.sets.members(scores), strict=True):
                answer["set"] = [classes[k] for k in row if inside[k]]
                answer["coverage"] = self.sets.coverage
        if self.abstention is not None:
            for answer, withheld in zip(answers, self.abstention(scores), strict=True):
                answer["abstained"] = bool(withheld)
        return answers


def line(answer: Mapping[str, Any]) -> str:
    """Return what `Calibration.told` put into an answer, as text behind its classes; empty where nothing."""
    parts = []
    if "set" in answer:
        parts.append(f"{100 * answer['coverage']:g} % set: {', '.join(answer['set'])}")
    if answer.get("abstained"):
        parts.append("abstains")
    return "".join(f"  {part}" for part in parts)


def read(record: object, outputs: int, place: str) -> Calibration:
    """Return the calibration of a task.json that somebody else may have written.

    Args:
        record: what stands under `KEY`.
        outputs: how many logits the model gives.
        place: of the file, for messages.

    Raises:
        InputError: anything that `Calibration.record` does not write: names the value and what was expected.
    """
    reader = _Reader(place)
    parts = reader.mapping(record, KEY, ("scaling", "sets", "abstention"))
    scaling, sets, abstention = parts["scaling"], parts["sets"], parts["abstention"]
    return Calibration(
        None if scaling is None else reader.scaling(scaling, outputs),
        None if sets is None else reader.sets(sets),
        None if abstention is None else reader.abstention(abstention),
    )


class _Reader:
    """Values of a file, each checked; nothing is taken on trust, and nothing unknown is passed over."""

    def __init__(self, place: str) -> None:
        self.place = place

    def fail(self, name: str, found: object, expected: str) -> NoReturn:
        shown = repr(found)[:60]
        raise InputError(f"{self.place}: {name} is {shown}, expected {expected}; restore the file")

    def mapping(self, value: object, name: str, keys: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict) or set(value) != set(keys):
            self.fail(name, value, f"a mapping of {', '.join(keys)}")
        return value

    def number(self, value: object, name: str, low: float, high: float, words: str) -> float:
        """A finite number with low < it < high."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(name, value, words)
        # Compared before it is converted: an integer may be larger than any float.
        if not low < value < high or not math.isfinite(value):
            self.fail(name, value, words)
        return float(value)

    def numbers(self, value: object, name: str, count: int, low: float, high: float) -> tuple[float, ...]:
        words = f"{count} numbers above {low:g} and below {high:g}"
        if not isinstance(value, list) or len(value) != count:
            self.fail(name, value, words)
        return tuple(self.number(each, name, low, high, words) for each in value)

    def images(self, value: object, name: str) -> int:
        if type(value) is not int or not 0 < value < 2**63:
            self.fail(f"{name} images", value, "a number of images, 1 or more")
        return value

    def share(self, value: object, name: str) -> float:
        return self.number(value, name, 0, 1, "a share above 0 and below 1")

    def word(self, value: object, name: str, known: Sequence[str]) -> str:
        if not isinstance(value, str) or value not in known:
            self.fail(name, value, f"one of {', '.join(known)}")
        return value

    def scaling(self, value: object, outputs: int) -> Scaling:
        method = value.get("method") if isinstance(value, dict) else None
        self.word(method, "scaling method", ("temperature", "vector"))
        if method == "temperature":
            held = self.mapping(value, "scaling", ("method", "images", "temperature", "interval_95"))
            words = "a number above 0.001 and below 1000"
            temperature = self.number(held["temperature"], "temperature", 1e-3, 1e3, words)
            interval = self.numbers(held["interval_95"], "interval_95", 2, 0, 1e30)
            return Scaling((1 / temperature,), (), self.images(held["images"], "scaling"), interval)
        held = self.mapping(value, "scaling", ("method", "images", "factors", "shifts"))
        factors = self.numbers(held["factors"], "factors", outputs, 0, 1e3)
        shifts = self.numbers(held["shifts"], "shifts", outputs, -1e3, 1e3)
        return Scaling(factors, shifts, self.images(held["images"], "scaling"))

    def sets(self, value: object) -> Sets:
        held = self.mapping(value, "sets", ("method", "coverage", "threshold", "images"))
        return Sets(
            self.word(held["method"], "sets method", tuple(conformal.SCORES)),
            self.share(held["coverage"], "sets coverage"),
            self.number(held["threshold"], "sets threshold", -1e-6, 1.001, "a number from 0 to 1"),
            self.images(held["images"], "sets"),
        )

    def abstention(self, value: object) -> Abstention:
        held = self.mapping(value, "abstention", ("wanted", "value", "confidence", "threshold", "images"))
        return Abstention(
            self.word(held["wanted"], "abstention wanted", WANTED),
            self.share(held["value"], "abstention value"),
            self.share(held["confidence"], "abstention confidence"),
            self.number(held["threshold"], "abstention threshold", -1e-6, 1.001, "a number from 0 to 1"),
            self.images(held["images"], "abstention"),
        )
