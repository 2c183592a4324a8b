"""Which of two versions is better: a judge that may be asked after every request."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imgrec.metrics.sequential import BettingMean, SplitDifference

BETTER, WORSE, OPEN = "better", "worse", "no difference yet"
PAUSE = 0.05
"""Seconds between two requests that latency and agreement look at, at least: they need not see them all."""
KEPT = 400
"""Points of a curve; when there are as many, every other one goes."""
MOST_KEYS = 1_000_000
_TRACKING = 0.05


@dataclass
class Curve:
    """How evidence grew: observations so far, and the decimal logarithm of the evidence for either side."""

    points: list[tuple[int, float, float]] = field(default_factory=list)
    every: int = 1

    def add(self, count: int, evidence: tuple[float, float]) -> None:
        """Take what there is after `count` observations."""
        if count % self.every:
            return
        above, below = (math.log10(max(each, 1e-9)) for each in evidence)
        self.points.append((count, round(above, 3), round(below, 3)))
        if len(self.points) >= KEPT:
            self.points, self.every = self.points[1::2], 2 * self.every


@dataclass
class Difference:
    """B against A in one respect, as a difference of two means with its confidence sequence.

    name: what is compared.
    good, bad: what a larger and a smaller mean of B are called.
    mean: what is bet on.
    """

    name: str
    mean: BettingMean
    good: str = BETTER
    bad: str = WORSE
    curve: Curve = field(default_factory=Curve)
    called: str = OPEN

    def noted(self) -> None:
        """Look once more after an observation; what was called once stays called."""
        evidence = self.mean.evidence(0.0)
        self.curve.add(self.mean.count, evidence)
        if self.called == OPEN and max(evidence) >= 2 / self.mean.alpha:
            self.called = self.good if evidence[0] > evidence[1] else self.bad

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON: None for a mean of nothing."""
        low, high = self.mean.interval()
        return {
            "name": self.name,
            "verdict": self.called,
            "observations": self.mean.count,
            "difference": self.mean.mean if self.mean.count else None,
            "low": low,
            "high": high,
            "evidence": dict(zip((self.good, self.bad), self.mean.evidence(0.0), strict=True)),
            "needed": 2 / self.mean.alpha,
            "curve": self.curve.points,
        }


@dataclass(frozen=True)
class Pair:
    """Versions that are compared, by digest and name: B is a canary with its share, or a shadow."""

    active: Mapping[str, str]
    other: Mapping[str, str]
    role: str
    share: float

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "active": dict(self.active),
            "other": dict(self.other),
            "role": self.role,
            "share": self.share,
        }


class Judge:
    """The comparison of one pair of versions, from events as `desk` makes them and a journal keeps them.

    Of a canary: how often it is right by feedback (of each key its first one, as a user's pictures are
    alike), and how often it is quicker than half of all requests so far. Of a shadow: how often both are
    right by feedback, picture by picture, and how often they agree.
    """

    def __init__(self, pair: Pair, alpha: float = 0.05, points: int = 401) -> None:
        """Begin with no request; `points` is how finely intervals are told."""
        self.pair, self.alpha = pair, alpha
        self.answers: Counter[str] = Counter()
        self.rights: dict[str, list[int]] = {"active": [0, 0], pair.role: [0, 0]}
        self.confused: Counter[tuple[str, str]] = Counter()
        self._keys: set[str] = set()
        self._middle, self._looked = 0.0, -math.inf
        if pair.role == "canary":
            self._split = SplitDifference(pair.share, alpha, points)
            self._quick = SplitDifference(pair.share, alpha, points)
            self.accuracy = Difference("accuracy", self._split.difference)
            self.speed: Difference | None = Difference("speed", self._quick.difference, "quicker", "slower")
            self.agreement: BettingMean | None = None
        else:
            self.accuracy = Difference("accuracy", BettingMean(-1, 1, alpha=alpha, points=points))
            self.speed, self.agreement = None, BettingMean(0, 1, alpha=alpha, points=points)

    @property
    def verdict(self) -> str:
        """What is said of B's accuracy: better, worse, or no difference yet."""
        return self.accuracy.called

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event in; those of other versions are passed over."""
        kind = event["kind"]
        if kind == "answer":
            self._answered(event)
        elif kind == "shadow" and self._is_pair(event):
            self._compared(event)
        elif kind == "feedback":
            self._told(event)
        elif kind == "paired" and self._is_pair(event):
            self._paired(event)

    def _arm(self, event: Mapping[str, Any]) -> str:
        """Return whose answer it was: active, canary, or nobody's here."""
        if event["version"] == self.pair.active["version"]:
            return "active"
        is_canary = self.pair.role == "canary" and event["version"] == self.pair.other["version"]
        return "canary" if is_canary else ""

    def _is_pair(self, event: Mapping[str, Any]) -> bool:
        versions = (event["version"], event["shadow"])
        return self.pair.role == "shadow" and versions == (
            self.pair.active["version"],
            self.pair.other["version"],
        )

    def _answered(self, event: Mapping[str, Any]) -> None:
        if not (arm := self._arm(event)):
            return
        self.answers[arm] += 1
        if self.speed is None or event["t"] < self._looked + PAUSE:
            return
        self._looked, seconds = event["t"], max(float(event["seconds"]), 1e-6)
        if self._middle:
            quick = seconds <= self._middle
            self._quick.update(arm == "canary", float(quick))
            self.speed.noted()
            # Follows the median: chosen before each request is seen, which is all that the bets ask for.
            self._middle *= math.exp(_TRACKING * (0.5 - quick))
        else:
            self._middle = seconds

    def _compared(self, event: Mapping[str, Any]) -> None:
        self.answers["shadow"] += 1
        if event["label"] != event["said"]:
            self.confused[event["label"], event["said"]] += 1
        if self.agreement is not None and event["t"] >= self._looked + PAUSE:
            self._looked = event["t"]
            self.agreement.update(float(event["label"] == event["said"]))

    def _told(self, event: Mapping[str, Any]) -> None:
        if self.pair.role != "canary" or not (arm := self._arm(event)):
            return
        self.rights[arm][0] += event["right"]
        self.rights[arm][1] += 1
        if event["key"] in self._keys or len(self._keys) >= MOST_KEYS:
            return
        self._keys.add(event["key"])
        self._split.update(arm == "canary", float(event["right"]))
        self.accuracy.noted()

    def _paired(self, event: Mapping[str, Any]) -> None:
        for role, right in (("active", event["right"]), ("shadow", event["shadow_right"])):
            self.rights[role][0] += right
            self.rights[role][1] += 1
        self.accuracy.mean.update(float(event["shadow_right"]) - float(event["right"]))
        self.accuracy.noted()

    def record(self) -> dict[str, Any]:
        """Return all of it ready for JSON."""
        agreement = None
        if self.agreement is not None:
            low, high = self.agreement.interval()
            share = self.agreement.mean if self.agreement.count else None
            looked = self.agreement.count
            agreement = {"observations": looked, "share": share, "low": low, "high": high}
        return {
            "pair": self.pair.record(),
            "alpha": self.alpha,
            "verdict": self.verdict,
            "answers": dict(self.answers),
            "feedback": {role: {"right": right, "told": told} for role, (right, told) in self.rights.items()},
            "accuracy": self.accuracy.record(),
            "speed": self.speed.record() if self.speed else None,
            "agreement": agreement,
            "confused": [[*names, count] for names, count in self.confused.most_common(20)],
        }
