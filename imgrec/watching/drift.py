"""A stream of requests against what the model was trained on: an alarm that names what has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imgrec.errors import InputError
from imgrec.watching.betting import RATES, Bag, Classes, Wealth, of_numbers
from imgrec.watching.reference import Reference

HORIZON = 10_000
CLASSES = "class rates"
_NUMBER_BETS = len(of_numbers(0.5))
_SIDES = np.array([1, -1, 1, -1, -1, 1, -1, 1])
"""Whether each bet of `of_numbers` is on higher (1) or lower (-1) numbers: p is low where they are high."""


@dataclass(frozen=True)
class Alarm:
    """What has changed, and when that was sure.

    request: how many requests there were since the watch (or its period) began.
    evidence: of the surest: one stream in as many reaches it by chance.
    drifted: what has changed, the surest first → its own evidence.
    words: a sentence for people.
    """

    request: int
    evidence: float
    drifted: Mapping[str, float]
    words: str

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "request": self.request,
            "evidence": self.evidence,
            "drifted": dict(self.drifted),
            "words": self.words,
        }


@dataclass
class DriftDetector:
    """Watches requests in periods of `horizon`, each with `false_alarms` at most as chance of a false alarm.

    That holds however often one looks, for images that come in no particular order and are like those of the
    reference, whatever they are. After an alarm it is silent until `restart`; after a period without one it
    begins anew from the reference.

    reference: what the run folder has.
    false_alarms: chance of any in a period.
    horizon: requests of a period.
    seed: of the chance that orders equal numbers.
    names: class names, for words.
    """

    reference: Reference
    false_alarms: float = 0.05
    horizon: int = HORIZON
    seed: int = 0
    names: tuple[str, ...] = ()
    alarm: Alarm | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Begin the first period. Raises InputError where numbers are out of bounds."""
        if not 0 < self.false_alarms < 1 or self.horizon < 1:
            raise InputError(
                f"drift: false alarms {self.false_alarms:g} in {self.horizon} requests: expected a chance "
                "above 0 and below 1, in 1 request or more"
            )
        self._chance = np.random.default_rng(self.seed)
        self.restart()

    def restart(self) -> None:
        """Begin a period anew, as if nothing had come yet."""
        reference = self.reference
        self.alarm, self.requests = None, 0
        self._bags = {name: Bag(values) for name, values in reference.values.items()}
        self._wealth = {name: Wealth((_NUMBER_BETS,), self.horizon) for name in reference.values}
        self._seen = Classes(reference.labels, reference.classes) if len(reference.labels) else None
        self._counts = Wealth((reference.classes, len(RATES)), self.horizon)

    def update(self, values: Mapping[str, float], label: int | None = None) -> Alarm | None:
        """Take one request in; return an alarm at the moment that it is raised, else None.

        Args:
            values: name → number, all that the reference has; others are left alone.
            label: index of the class that was the answer; None where there is none.

        Raises:
            InputError: a value is missing or not finite, or there is no such class.
        """
        missing = [name for name in self._bags if not np.isfinite(values.get(name, np.nan))]
        if missing or (label is not None and not 0 <= label < self.reference.classes):
            raise InputError(
                f"drift: {', '.join(missing) or f'class {label}'}: expected finite numbers of "
                f"{', '.join(self._bags)}, and one of {self.reference.classes} classes"
            )
        if self.alarm is not None:
            return None
        if self.requests == self.horizon:
            self.restart()
        self.requests += 1
        for name, bag in self._bags.items():
            p = bag.p_value(float(values[name]), self._chance.random())
            self._wealth[name].update(of_numbers(p))
        if label is not None and self._seen is not None:
            chances = self._chance.random(self.reference.classes)
            self._counts.update(self._seen.pay(self._seen.p_values(label, chances)))
        self.alarm = self._judged()
        return self.alarm

    def evidence(self) -> dict[str, float]:
        """Return the evidence of each kind of change, 1 / false_alarms being enough for an alarm.

        The wealth of its bets, divided by how many kinds there are, and of class rates by how many classes:
        each game is fair by itself, and the chances that any of them is won falsely add up (Bonferroni).
        """
        kinds = len(self._wealth) + (self._seen is not None)
        held = {name: float(wealth.whole()) / kinds for name, wealth in self._wealth.items()}
        if self._seen is not None:
            held[CLASSES] = float(self._counts.whole().max()) / (kinds * self.reference.classes)
        return held

    def state(self) -> dict[str, Any]:
        """Return what a dashboard shows: requests, evidence of each, the alarm if there is one."""
        return {
            "requests": self.requests,
            "evidence": self.evidence(),
            "threshold": 1 / self.false_alarms,
            "alarm": self.alarm.record() if self.alarm else None,
        }

    def _judged(self) -> Alarm | None:
        """Return an alarm where there is evidence enough of any change."""
        sure = sorted(self.evidence().items(), key=lambda item: -item[1])
        drifted = {name: value for name, value in sure if value >= 1 / self.false_alarms}
        if not drifted:
            return None
        said = ", ".join(self._said(name) for name in drifted)
        return Alarm(self.requests, sure[0][1], drifted, f"after {self.requests} requests: {said}")

    def _said(self, name: str) -> str:
        """Return what changed in words, with its direction."""
        if name == CLASSES:
            label = int(self._counts.whole().argmax())
            bet = int(self._counts.each()[label].argmax())
            known = self.names[label] if self.names else f"class {label}"
            return f"{known} is answered {'less' if RATES[bet] < 1 else 'more'} often"
        wealth = self._wealth[name].each()
        return f"{name} is {'higher' if _SIDES[int(wealth.argmax())] > 0 else 'lower'}"
