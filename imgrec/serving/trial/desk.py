"""Where all that is known of answers comes together: memory, journal, judges, and what follows."""

import contextlib
import hashlib
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from imgrec.errors import InputError
from imgrec.serving.observed import Seen
from imgrec.serving.source import Source, Version
from imgrec.serving.trial.journal import Journal, parts
from imgrec.serving.trial.judge import BETTER, OPEN, Judge, Pair
from imgrec.serving.trial.recent import Answered, Feedback, Recent
from imgrec.serving.trial.replay import Replay, Replayed
from imgrec.serving.trial.settings import TrialSettings
from imgrec.store import ACTIVE, Store

PERIOD = 0.25
"""Seconds between two looks of the thread; a server that is killed loses no more of its journal."""
MOST_WAITING = 200_000
"""Events that wait for the thread; further ones are counted and left out."""

Event = Mapping[str, Any]
Note = Callable[[], Event]


class Desk:
    """Takes what was seen and told in the event loop, and thinks about it in a thread of its own.

    Attributes:
        told: who else is told of feedback.
        lost: events that were left out, as there were too many.
    """

    def __init__(self, settings: TrialSettings, source: Source, store: Store | None = None) -> None:
        """Begin; the thread runs until `close`.

        Raises:
            InputError: the journal cannot be written, or there is no store to act on.
        """
        if settings.decide == "act" and store is None:
            raise InputError("--decide act: only a store has versions to promote; serve one, or leave it out")
        self.told: list[Callable[[Feedback], None]] = []
        self.lost = 0
        self._settings, self._source, self._store = settings, source, store
        self._recent = Recent()
        self._waiting: deque[Note] = deque()
        self._judges: dict[str, Judge] = {}
        self._decided: dict[str, str] = {}
        self._record: dict[str, Any] = {"trials": [], "decisions": []}
        self._journal: Journal | None = None
        self._before: dict[str, Replayed] = {}
        if settings.journal.name:
            if settings.journal.is_dir() and parts(settings.journal):
                self._before = Replay(settings.journal).current
            self._journal = Journal(settings.journal, settings.journal_megabytes)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._think, name="desk", daemon=True)
        self._thread.start()

    def seen(self, seen: Seen) -> None:
        """Take an image that was answered: as an observer of the front."""
        now, name = time.time(), seen.id
        if seen.role != "shadow":
            first = self._recent.put(seen)
            if first is not None and (self._journal is not None or self._judges):
                # What waits must not hold the picture, which `seen` does.
                sure, seconds = seen.probability, seen.seconds
                self._queue(lambda: _answer(now, name, first, sure, seconds))
            return
        held = self._recent.get(name)
        if held is None or held.shadow is not None:
            return
        held.shadow = (seen.facts, seen.label)
        self._queue(lambda: _shadow(now, name, held))
        if held.told:
            told = held.told
            self._queue(lambda: _paired(now, told, held))

    def tell(self, name: str, label: str) -> bool:
        """Take feedback; return whether it is right. Raises RefusedError as `Recent.tell`."""
        given = self._recent.tell(name, label)
        if given is None:
            held = self._recent.get(name)
            return held is not None and held.facts.labels[held.label] == label
        now = time.time()
        self._queue(lambda: _feedback(now, given))
        if given.answered.shadow is not None:
            self._queue(lambda: _paired(now, label, given.answered))
        for listener in self.told:
            try:
                listener(given)
            except Exception:  # who listens harms no client
                logging.getLogger(__name__).exception("a listener to feedback failed")
        return given.right

    def record(self) -> dict[str, Any]:
        """Return what the judges say, ready for JSON, some `PERIOD` old."""
        return {**self._record, "remembered": len(self._recent), "lost": self.lost}

    def close(self) -> None:
        """Think about what is left, and end."""
        self._over.set()
        self._thread.join()
        if self._journal is not None:
            self._journal.close()

    def _queue(self, note: Note) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(note)
        else:
            self.lost += 1

    def _think(self) -> None:
        """Turn notes into events, judge them and write them down."""
        failed = False
        while True:
            last = self._over.wait(PERIOD)
            try:
                self._round()
            except Exception as error:  # a full disk or a store that is gone must not end the watch
                if not failed:
                    _say(f"{type(error).__name__}: {error}; it is tried again and not said again")
                failed = True
            if last:
                return

    def _round(self) -> None:
        events: list[Event] = self._paired_up()
        while self._waiting:
            events.append(self._waiting.popleft()())
        for event in events:
            for judge in self._judges.values():
                judge.take(event)
        events += self._decisions()
        self._record = {
            "trials": [judge.record() for judge in self._judges.values()],
            "decisions": [{"role": role, "did": did} for role, did in self._decided.items()],
        }
        if self._journal is not None and events:
            self._journal.write(events)

    def _paired_up(self) -> list[Event]:
        """Begin a comparison for each pair of versions that is new, and end those that are gone."""
        now, events = time.time(), list[Event]()
        pairs = {pair.role: pair for pair in pairs_of(self._source)}
        for role in list(self._judges):
            if pairs.get(role) != self._judges[role].pair:
                del self._judges[role]
                self._decided.pop(role, None)
                events.append({"kind": "end", "t": now, "role": role})
        for role, pair in pairs.items():
            if role not in self._judges:
                events.append(self._begun(now, pair))
        self._before = {}  # what was not gone on with at the start has ended
        return events

    def _begun(self, now: float, pair: Pair) -> Event:
        """Begin a comparison, or go on with that of a journal; return the event that says so."""
        before = self._before.get(pair.role)
        alpha = self._settings.alpha
        if before is None or (before.judge.pair, before.judge.alpha) != (pair, alpha):
            self._judges[pair.role] = Judge(pair, alpha)
            return {"kind": "trial", "t": now, "alpha": alpha} | pair.record()
        self._judges[pair.role] = before.judge
        done = [each for each in before.decisions if self._settings.decide == "tell" or each["did"] != "told"]
        if done:
            self._decided[pair.role] = f"{done[-1]['did']}: {done[-1]['why']}"
        return before.began

    def _decisions(self) -> list[Event]:
        """Act on verdicts, each once, where that is asked for."""
        events: list[Event] = []
        for role, judge in self._judges.items():
            count = judge.accuracy.mean.count
            if judge.verdict == OPEN or role in self._decided or count < self._settings.decide_after:
                continue
            name = judge.pair.other["called"] or judge.pair.other["version"][:12]
            why = f"{role} {name} is {judge.verdict} by {count:,} requests with feedback"
            did = "told" if self._settings.decide == "tell" else self._acted(role, judge, why)
            self._decided[role] = f"{did}: {why}"
            _say(self._decided[role])
            events.append({"kind": "decision", "t": time.time(), "role": role, "why": why, "did": did})
        return events

    def _act(self, role: str, judge: Judge) -> str:
        """Promote the better version or roll a worse one back, if the store still has that pair."""
        assert self._store is not None  # checked at the start
        state, name = self._store.state, judge.pair.other["called"]
        if state.roles().get(role) != name or state.active != judge.pair.active["called"]:
            return "left alone, as the store has other roles now"
        if judge.verdict == BETTER:
            self._store.promote(name, ACTIVE)
            return "promoted"
        self._store.rollback(role)
        return "rolled back"

    def _acted(self, role: str, judge: Judge, why: str) -> str:
        """Act, and have the store remember why; return what was done, or why it was not."""
        assert self._store is not None
        try:
            did = self._act(role, judge)
        except (InputError, OSError) as error:  # a store that is read-only, or a version that is damaged
            return f"not changed ({' '.join(str(error).split())})"
        with contextlib.suppress(InputError, OSError):
            self._store.remember(f"{did}: {why}")
        return did


def pairs_of(source: Source) -> list[Pair]:
    """Return the pairs of versions that are compared now."""
    active, pairs = _named(source.current), []
    if source.canary is not None and 0 < source.share < 1:
        pairs.append(Pair(active, _named(source.canary), "canary", source.share))
    if source.shadow is not None:
        pairs.append(Pair(active, _named(source.shadow), "shadow", 0.0))
    return pairs


def _named(version: Version) -> dict[str, str]:
    return {"version": version.facts.version, "called": version.called}


def _label(labels: tuple[str, ...], index: int) -> str:
    return labels[index] if index >= 0 else ""


def _hashed(key: str) -> str:
    """Return what stands for a key, which may name a person, in the journal."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _answer(now: float, name: str, answered: Answered, probability: float, seconds: float) -> Event:
    return {
        "kind": "answer",
        "t": now,
        "id": name,
        "version": answered.facts.version,
        "label": _label(answered.facts.labels, answered.label),
        "probability": round(probability, 6),
        "seconds": round(seconds, 6),
    }


def _shadow(now: float, name: str, held: Answered) -> Event:
    assert held.shadow is not None
    facts, said = held.shadow
    return {
        "kind": "shadow",
        "t": now,
        "id": name,
        "version": held.facts.version,
        "shadow": facts.version,
        "label": _label(held.facts.labels, held.label),
        "said": _label(facts.labels, said),
    }


def _feedback(now: float, given: Feedback) -> Event:
    return {
        "kind": "feedback",
        "t": now,
        "id": given.id,
        "key": _hashed(given.answered.key),
        "version": given.answered.facts.version,
        "label": given.label,
        "right": given.right,
    }


def _paired(now: float, told: str, held: Answered) -> Event:
    assert held.shadow is not None
    facts, label = held.shadow
    return {
        "kind": "paired",
        "t": now,
        "version": held.facts.version,
        "shadow": facts.version,
        "right": held.facts.labels[held.label] == told,
        "shadow_right": _label(facts.labels, label) == told,
    }


def _say(line: str) -> None:
    print(f"trial: {line}", file=sys.stderr, flush=True)
