"""The server's state as JSON for the dashboard, sampled while it serves."""

import asyncio
import time
from collections import Counter
from typing import Any

from imgrec.serving.front import Front
from imgrec.serving.history import STEP, History
from imgrec.serving.logs import Log
from imgrec.serving.source import Version
from imgrec.serving.watch import Watch
from imgrec.serving.watch_settings import WatchSettings

CLASSES = 20
"""Shown at most: the most frequent ones, of training or now."""
ALARMS = 50
"""Remembered at most, the last ones."""


class Status:
    """Watches a front: drift, history, alarms.

    Attributes:
        watch: the drift of each version.
        history: rows of the last hour and day.
        alarms: the last ones, the newest first.
    """

    def __init__(self, front: Front, settings: WatchSettings, log: Log) -> None:
        """Begin to listen to what the front answers."""
        self._front, self._log, self._began = front, log, time.time()
        self.watch = Watch(front.source, settings, self._said)
        self.history = History(front.metrics)
        self.alarms: list[dict[str, Any]] = []
        front.log = log
        front.observers.append(self.watch)
        front.metrics.register(self.watch)

    def _said(self, event: str, **fields: Any) -> None:
        self._log.event(event, **fields)
        if event != "drift":
            return
        raised = self.watch.held[fields["version"]].raised
        others = [
            each for each in self.alarms if (each["time"], each["version"]) != (raised, fields["version"])
        ]
        self.alarms = [{"time": raised, **fields}, *others][:ALARMS]

    async def opened(self) -> list[str]:
        """Read what the version that answers now is held against; return the words to say where it isn't."""
        watched = await self.watch.open(self._front.source.current)
        return [f"drift is not watched: {watched.why}"] if watched.detector is None else []

    async def run(self) -> None:
        """Add to the history for ever."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(STEP)
            now = time.monotonic()
            waiting = sum(version.pool.waiting for version in self._front.source.versions())
            evidence = {
                name: each.detector.evidence()
                for name, each in self.watch.held.items()
                if each.detector is not None
            }
            self.history.sample(time.time(), now - last, waiting, evidence)
            last = now

    def record(self, span: str = "hour", since: float = 0.0) -> dict[str, Any]:
        """Return all of it, ready for JSON.

        Args:
            span: rows of the last `hour` or `day`.
            since: rows after that time alone, in seconds since 1970.
        """
        rows = self.history.day if span == "day" else self.history.hour
        source, recent = self._front.source, self.history.classes()
        return {
            "now": time.time(),
            "began": self._began,
            "ready": source.current.pool.ready and not self._front.draining,
            "versions": [self._version(version, recent) for version in source.versions()],
            "alarms": self.alarms,
            "dropped_lines": self._log.dropped,
            "rows": [row for row in rows if row["time"] > since],
        }

    def _version(self, version: Version, recent: "Counter[tuple[str, int]]") -> dict[str, Any]:
        facts, pool = version.facts, version.pool
        watched = self.watch.held.get(facts.version)
        return {
            "name": facts.name,
            "version": facts.version,
            "called": version.called,
            "role": self._front.source.role(version),
            "platform": facts.platform,
            "milliseconds": facts.milliseconds,
            "workers": sum(worker.ready for worker in pool.workers),
            "died": pool.died,
            "waiting": pool.waiting,
            "drift": watched.record() if watched else {"watched": False, "why": "no request came yet"},
            "classes": self._classes(version, recent),
        }

    def _classes(self, version: Version, recent: "Counter[tuple[str, int]]") -> list[dict[str, Any]]:
        """Return shares of classes, of about an hour and in training, None where that isn't known."""
        labels, digest = version.facts.labels, version.facts.version
        watched = self.watch.held.get(digest)
        held = watched.detector.reference.labels.tolist() if watched and watched.detector else []
        expected = Counter(held)
        now = {k: recent[digest, k] for k in range(len(labels))}
        total = sum(now.values())
        often = sorted(now, key=lambda k: -max(expected[k] / max(1, len(held)), now[k] / max(1, total)))
        return [
            {
                "label": labels[k],
                "training": round(expected[k] / len(held), 5) if held else None,
                "now": round(now[k] / total, 5) if total else None,
                "images": now[k],
            }
            for k in often[:CLASSES]
        ]
