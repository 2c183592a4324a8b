"""A journal's comparisons, judged anew: for a report, and for a server that goes on where one ended."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgrec.serving.trial import journal
from imgrec.serving.trial.judge import Judge, Pair
from imgrec.serving.trial.times import Times


@dataclass
class Replayed:
    """One comparison.

    began: the event that it began with.
    took: how long answers took while it went on.
    decisions: events of what was decided.
    until: when the last event was, seconds since 1970.
    """

    began: Mapping[str, Any]
    judge: Judge
    until: float
    took: Times = field(default_factory=Times)
    decisions: list[Mapping[str, Any]] = field(default_factory=list)


class Replay:
    """All comparisons of a journal.

    The judges are those of the server, and take the same events: they say the same.

    Attributes:
        all: every comparison, the latest last.
        current: those that have not ended, by the role of the other version.
        kinds: how many events there were of each kind.
        damaged: lines that were passed over.
    """

    def __init__(self, folder: Path) -> None:
        """Read a journal. Raises InputError where there is none."""
        self.all: list[Replayed] = []
        self.current: dict[str, Replayed] = {}
        self.kinds: Counter[str] = Counter()
        self.damaged = 0
        for event in journal.read(folder):
            self.kinds[event["kind"]] += 1
            self._take(event)

    def _take(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "damage":
                self.damaged = event["lines"]
            case "trial":
                self._begin(event)
            case "end":
                self.current.pop(event["role"], None)
            case "decision":
                if event["role"] in self.current:
                    self.current[event["role"]].decisions.append(event)
            case kind:
                for each in self.current.values():
                    each.judge.take(event)
                    each.until = event["t"]
                    if kind == "answer":
                        each.took.add(event["version"], event["seconds"])

    def _begin(self, event: Mapping[str, Any]) -> None:
        """Begin a comparison, unless it is said again: at the head of a file, or by a server that goes on."""
        role = event["role"]
        if role in self.current and self.current[role].began == event:
            return
        active, other = (_version(event[each]) for each in ("active", "other"))
        judge = Judge(Pair(active, other, role, float(event["share"])), event["alpha"])
        self.current[role] = Replayed(event, judge, event["t"])
        self.all.append(self.current[role])


def _version(told: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(told.get(key, "")) for key in ("version", "called")}
