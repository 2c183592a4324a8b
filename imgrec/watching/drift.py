"""A stream of requests against what the model was trained on: an alarm that names what has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.watching.betting import RATES, Bag, Classes, Wealth, of_numbers
from imgrec.watching.reference import Reference

HORIZON = 10_000
AFTER = 200
"""Requests after an alarm in which it is looked for what else has changed."""
CLASSES = "class rates"
Bets = NDArray[np.float64]
_NUMBER_BETS = len(of_numbers(0.5))
_SIDES = np.array([1, -1, 1, -1, -1, 1, -1, 1])
"""Whether each bet of `of_numbers` is on higher (1) or lower (-1) numbers: p is low where they are high."""


@dataclass(frozen=True)
class Alarm:
    """What has changed, and when that was sure.

    request: how many requests there were since the watch (or its period) began.
    evidence: of the surest: one stream in as many reaches it by chance.
    drifted: what has changed, in the order in which it was sure → its evidence then.
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
    reference, whatever they are. After an alarm it adds what else becomes sure within `AFTER` requests, then
    it is silent until `restart`; after a period without one it begins anew from the reference.

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
        self._numbers = Wealth((len(self._bags), _NUMBER_BETS), self.horizon)
        self._seen = Classes(reference.labels, reference.classes) if len(reference.labels) else None
        self._counts = Wealth((reference.classes, len(RATES)), self.horizon)

    def update(self, values: Mapping[str, float], label: int | None = None) -> Alarm | None:
        """Take one request in; return the alarm when it is raised or something is added to it, else None.

        Args:
            values: name → number, all that the reference has; others are left alone.
            label: index of the class that was the answer; None where there is none.

        Raises:
            InputError: a value is missing or not finite, or there is no such class.
        """
        return self.update_many([values], [label])

    def update_many(
        self, values: Sequence[Mapping[str, float]], labels: Sequence[int | None]
    ) -> Alarm | None:
        """Take N requests in, as `update` would one after the other but at less cost for each.

        The evidence is the same to the last bit. Raises as `update`, before any request is taken in.
        """
        table, before, start = self._checked(values, labels), self.alarm, 0
        while start < len(table):
            if not (room := self._room()):
                if self.alarm is not None:
                    break
                self.restart()
                continue
            end = min(len(table), start + min(room, AFTER))
            self._take(table[start:end], labels[start:end])
            start = end
        return self.alarm if self.alarm is not before else None

    def _room(self) -> int:
        """Return for how many requests this period goes on; after an alarm for `AFTER`."""
        end = self.horizon if self.alarm is None else min(self.horizon, self.alarm.request + AFTER)
        return end - self.requests

    def _checked(
        self, values: Sequence[Mapping[str, float]], labels: Sequence[int | None]
    ) -> NDArray[np.float64]:
        """Return the values as a table, `[N, kinds]`; raise where `update` does."""
        table = np.array([[row.get(name, np.nan) for name in self._bags] for row in values], np.float64)
        if not np.isfinite(table).all():
            wrong = list(self._bags)[int(np.argwhere(~np.isfinite(table))[0, 1])]
        elif classes := [label for label in labels if label is not None and not 0 <= label < self._classes]:
            wrong = f"class {classes[0]}"
        else:
            return table
        raise InputError(
            f"drift: {wrong}: expected finite numbers of {', '.join(self._bags)}, and one of "
            f"{self._classes} classes"
        )

    def _take(self, table: NDArray[np.float64], labels: Sequence[int | None]) -> None:
        """Take requests in that lie within one period."""
        chances = self._chance.random((len(table), len(self._bags) + self._classes))
        p_values = [
            [
                bag.p_value(value, chance)
                for bag, value, chance in zip(self._bags.values(), *row, strict=False)
            ]
            for row in zip(table.tolist(), chances.tolist(), strict=True)
        ]
        numbers = self._numbers.run(of_numbers(np.array(p_values)))
        pays = self._pays(labels, chances[:, len(self._bags) :])
        counts = None if pays is None else self._counts.run(pays)
        begun = self.requests
        self.requests += len(table)
        for row in range(len(table)):
            self._judge(begun + row + 1, numbers[row], None if counts is None else counts[row])

    def _judge(self, request: int, numbers: Bets, counts: Bets | None) -> None:
        """Raise an alarm, or add to it, where there is evidence enough of a change after a request."""
        known = self.alarm.drifted if self.alarm else {}
        sure = sorted(self._evidence(numbers, counts).items(), key=lambda item: -item[1])
        new = {name: value for name, value in sure if value >= 1 / self.false_alarms and name not in known}
        if not new:
            return
        said = ", ".join(self._said(name, numbers, counts) for name in new)
        if self.alarm is None:
            self.alarm = Alarm(request, sure[0][1], new, f"after {request} requests: {said}")
        else:
            words = f"{self.alarm.words}; after {request}: {said}"
            self.alarm = replace(self.alarm, drifted={**known, **new}, words=words)

    def _pays(
        self, labels: Sequence[int | None], chances: NDArray[np.floating]
    ) -> NDArray[np.float64] | None:
        """Return what bets on classes pay, 1 for a request without an answer; None where nobody bets."""
        if self._seen is None:
            return None
        pays = np.ones((len(labels), self._classes, len(RATES)))
        rows = [row for row, label in enumerate(labels) if label is not None]
        if rows:
            answers = np.array([labels[row] for row in rows])
            pays[rows] = self._seen.pay(self._seen.p_values(answers, chances[rows]))
        return pays

    @property
    def _classes(self) -> int:
        return self.reference.classes

    @property
    def _kinds(self) -> int:
        return len(self._bags) + (self._seen is not None)

    def evidence(self) -> dict[str, float]:
        """Return the evidence of each kind of change, 1 / false_alarms being enough for an alarm.

        The wealth of its bets, divided by how many kinds there are, and of class rates by how many classes:
        each game is fair by itself, and the chances that any of them is won falsely add up (Bonferroni).
        """
        return self._evidence(self._numbers.each(), None if self._seen is None else self._counts.each())

    def _evidence(self, numbers: Bets, counts: Bets | None) -> dict[str, float]:
        """Return `evidence` of bets' wealth, `[kinds, 8]` and `[C, 4]`."""
        held = dict(zip(self._bags, (numbers.mean(axis=-1) / self._kinds).tolist(), strict=True))
        if counts is not None:
            held[CLASSES] = float(counts.mean(axis=-1).max()) / (self._kinds * self._classes)
        return held

    def state(self) -> dict[str, Any]:
        """Return what a dashboard shows: requests, evidence of each, the alarm if there is one."""
        return {
            "requests": self.requests,
            "evidence": self.evidence(),
            "threshold": 1 / self.false_alarms,
            "alarm": self.alarm.record() if self.alarm else None,
        }

    def _said(self, name: str, numbers: Bets, counts: Bets | None) -> str:
        """Return what changed in words, with its direction."""
        if name == CLASSES and counts is not None:
            label = int(counts.mean(axis=-1).argmax())
            bet = int(counts[label].argmax())
            known = self.names[label] if self.names else f"class {label}"
            return f"{known} is answered {'less' if RATES[bet] < 1 else 'more'} often"
        wealth = numbers[list(self._bags).index(name)]
        return f"{name} is {'higher' if _SIDES[int(wealth.argmax())] > 0 else 'lower'}"
