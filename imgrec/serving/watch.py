"""Holds what comes in and what is answered against training, version by version, and says what has changed.

Detectors run in the event loop, a few requests at a time, and take at most `SHARE` of it. What comes faster
than that waits in a bounded queue, and is left out where that is full, or where a worker did not measure it:
bets stay fair whichever requests they are on, as long as these are not chosen by their pictures.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from imgrec.errors import InputError
from imgrec.runtimes import RUN, kind_of
from imgrec.serving.facts import Facts
from imgrec.serving.observed import Seen
from imgrec.serving.source import Source, Version
from imgrec.serving.watch_settings import WatchSettings
from imgrec.watching import reference
from imgrec.watching.drift import DriftDetector
from imgrec.watching.reference import Reference

SHARE = 0.005
"""Of the event loop's time."""
CHUNK = 16
QUEUE = 4096
CONFIDENCE, MEASURED = "confidence", "brightness"
MODEL_ITSELF = "float32.tflite"
"""The export that gives the Keras model's own probabilities, which the reference has."""
Said = Callable[..., None]


@dataclass
class Watched:
    """One version under watch.

    detector: None where there is nothing to hold requests against; `why` says so.
    taken, skipped: requests that it looked at, and those that came too fast.
    alarms: how many there were.
    raised, request: when the last one was, in seconds since 1970, and after how many requests; 0 once it was
        cleared.
    """

    facts: Facts
    detector: DriftDetector | None = None
    why: str = "its reference is being read"
    taken: int = 0
    skipped: int = 0
    alarms: int = 0
    raised: float = 0.0
    request: int = 0

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        told: dict[str, Any] = {
            "watched": self.detector is not None,
            "taken": self.taken,
            "skipped": self.skipped,
        }
        if self.detector is None:
            return {**told, "why": self.why}
        state = self.detector.state()
        when = {"time": self.raised} if state["alarm"] else {}
        return {**told, **state, "alarm": {**state["alarm"], **when} if state["alarm"] else None}


@dataclass(eq=False)
class Watch:
    """An observer that feeds a detector for each version that answers.

    source: the versions.
    settings: false alarms and horizon.
    said: takes the name of an event and its fields, when there is an alarm or one is cleared.
    """

    source: Source
    settings: WatchSettings
    said: Said
    held: dict[str, Watched] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._queue: deque[tuple[Facts, dict[str, float], int]] = deque()
        self._ticking = False
        self._reading: set[asyncio.Task[Watched]] = set()

    def __call__(self, seen: Seen) -> None:
        """Take an image in; of a shadow nobody gets the answers, so that it isn't watched."""
        if seen.role == "shadow":
            return
        if len(self._queue) >= QUEUE or MEASURED not in seen.values:
            self._of(seen.facts).skipped += 1
            return
        self._queue.append((seen.facts, {**seen.values, CONFIDENCE: seen.probability}, seen.label))
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _of(self, facts: Facts) -> Watched:
        """Return what is held of a version; reading its reference begins where it is new."""
        if facts.version not in self.held:
            self.held[facts.version] = Watched(facts)
            version = next((each for each in self.source.versions() if each.facts is facts), None)
            if version is not None:
                task = asyncio.get_running_loop().create_task(self.open(version))
                self._reading.add(task)
                task.add_done_callback(self._reading.discard)
        return self.held[facts.version]

    async def open(self, version: Version) -> Watched:
        """Read a version's reference, and watch it from now on; forget versions that are gone."""
        facts = version.facts
        watched = self.held.setdefault(facts.version, Watched(facts))
        try:
            held = await asyncio.to_thread(reference_for, version.pool.plan.path, facts)
        except InputError as error:
            held, watched.why = None, str(error)
        else:
            watched.why = "" if held else "there is no watching.npz beside the model: serve a run folder"
        if held is not None:
            watched.detector = DriftDetector(
                held, self.settings.drift_false_alarms, self.settings.drift_horizon, names=facts.labels
            )
        there = {each.facts.version for each in self.source.versions()} | {facts.version}
        self.held = {name: each for name, each in self.held.items() if name in there}
        return watched

    def _tick(self) -> None:
        """Feed some of what waits, then leave the loop to others for as long as `SHARE` asks."""
        start = time.perf_counter()
        rows: dict[str, tuple[list[dict[str, float]], list[int | None]]] = {}
        for _ in range(min(CHUNK, len(self._queue))):
            facts, values, label = self._queue.popleft()
            self._of(facts)
            mine = rows.setdefault(facts.version, ([], []))
            mine[0].append(values)
            mine[1].append(label if label >= 0 else None)
        for name, (values_of, labels) in rows.items():
            self._feed(self.held[name], values_of, labels)
        self._ticking = bool(self._queue)
        if self._ticking:
            asyncio.get_running_loop().call_later((time.perf_counter() - start) / SHARE, self._tick)

    def _feed(self, watched: Watched, values: list[dict[str, float]], labels: list[int | None]) -> None:
        if watched.detector is None:
            watched.skipped += len(labels)
            return
        watched.taken += len(labels)
        if alarm := watched.detector.update_many(values, labels):
            if watched.request != alarm.request:
                watched.request, watched.raised = alarm.request, time.time()
                watched.alarms += 1
            self.said("drift", model=watched.facts.name, version=watched.facts.version, **alarm.record())

    def restart(self, version: str = "") -> int:
        """Clear alarms, of one version or of all, and watch on; return how many began anew."""
        found = [
            each
            for name, each in self.held.items()
            if each.detector is not None and (not version or (len(version) >= 8 and name.startswith(version)))
        ]
        for watched in found:
            if watched.detector is not None:
                watched.detector.restart()
                watched.request = 0
            self.said("drift restarted", model=watched.facts.name, version=watched.facts.version)
        return len(found)

    def collect(self) -> Iterator[Metric]:
        """Give what Prometheus asks for."""
        of = ["version"]
        watched = GaugeMetricFamily("imgrec_drift_watched", "Whether drift is watched, 1 or 0", labels=of)
        taken = CounterMetricFamily("imgrec_drift_images", "Images that drift was looked for in", labels=of)
        skipped = CounterMetricFamily(
            "imgrec_drift_skipped_images", "Images that were not looked at", labels=of
        )
        alarms = CounterMetricFamily("imgrec_drift_alarms", "Alarms raised", labels=of)
        raised = GaugeMetricFamily("imgrec_drift_alarm", "1 while an alarm stands, else 0", labels=of)
        threshold = GaugeMetricFamily("imgrec_drift_threshold", "Evidence that raises an alarm", labels=of)
        evidence = GaugeMetricFamily(
            "imgrec_drift_evidence", "Of a change, by what has changed", labels=["version", "kind"]
        )
        for name, each in self.held.items():
            watched.add_metric([name], float(each.detector is not None))
            taken.add_metric([name], each.taken)
            skipped.add_metric([name], each.skipped)
            alarms.add_metric([name], each.alarms)
            if each.detector is not None:
                raised.add_metric([name], float(each.detector.alarm is not None))
                threshold.add_metric([name], 1 / each.detector.false_alarms)
                for kind, value in each.detector.evidence().items():
                    evidence.add_metric([name, kind], value)
        yield from (watched, taken, skipped, alarms, raised, threshold, evidence)


def reference_for(path: Path, facts: Facts) -> Reference | None:
    """Return what requests to a version are held against; None where its run has nothing.

    Probabilities of a smaller file lie a little beside the Keras model's, which the reference has, so that
    they are left out there; so is what its workers don't measure.

    Args:
        path: a run folder, or a file in its `exports/`.
        facts: of the version.

    Raises:
        InputError: the reference is damaged.
    """
    whole = path.absolute()
    run = kind_of(path) == RUN
    folder = whole if run else whole.parent.parent if whole.parent.name == "exports" else whole.parent
    held = reference.read(folder, len(facts.labels))
    if held is None:
        return None
    told = {*facts.marks, *([CONFIDENCE] if run or whole.name == MODEL_ITSELF else [])}
    values = {name: part for name, part in held.values.items() if name in told}
    return Reference(values, held.labels, held.classes)
