"""Measurements of all subjects, taking turns, each in a process of its own."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgrec.errors import InputError
from imgrec.export.work import Work, work
from imgrec.processors import cores
from imgrec.runs.benchmark.subjects import Subject

CHILD = "imgrec.runs.benchmark.child"


@dataclass(frozen=True)
class Row:
    """One subject with so many threads.

    xnnpack: whether TFLite's quick kernels take what they can; None of what is no TFLite file.
    ms_p50, ms_p90: of one image, medians over the rounds.
    images_per_second: likewise.
    megabytes: peak of memory beyond that of the libraries; megabytes_in_all: with them.
    pieces: into how many parts of the graph XNNPACK's work falls: what it does not take lies between them.
    macs, microjoules: multiply-accumulates, and what their arithmetic takes; None where not known.
    """

    name: str
    kind: str
    kilobytes: float | None
    accuracy: float | None
    threads: int
    xnnpack: bool | None
    ms_p50: float
    ms_p90: float
    images_per_second: float
    megabytes: float
    megabytes_in_all: float
    pieces: int
    macs: int | None
    microjoules: float | None

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)


def thread_counts(asked: Sequence[int]) -> list[int]:
    """Return how many threads to try: as asked, or 1, 2, 4 … and all processors that there are."""
    if asked:
        return list(asked)
    most = cores()
    return sorted({most, *(1 << power for power in range(most.bit_length()) if 1 << power <= most)})


def measure(subjects: Sequence[Subject], threads: Sequence[int], seconds: float, rounds: int) -> list[Row]:
    """Let every subject answer with every number of threads, `rounds` times in turn.

    Raises:
        InputError: one that cannot be opened.
    """
    tasks = [(subject, task) for subject in subjects for task in _tasks(subject, threads, seconds)]
    taken: list[list[dict[str, float]]] = [[] for _ in tasks]
    for _ in range(rounds):
        for number, (subject, task) in enumerate(tasks):
            taken[number].append(_ask(subject, task))
    works = {subject.name: _work(subject) for subject in subjects}
    return [
        _row(subject, task, found, works[subject.name])
        for (subject, task), found in zip(tasks, taken, strict=True)
    ]


def _tasks(subject: Subject, threads: Sequence[int], seconds: float) -> Iterator[dict[str, Any]]:
    for count in threads:
        for xnnpack in (True, False) if subject.kind == ".tflite" else (None,):
            yield {
                "kind": subject.kind,
                "path": subject.path,
                "details": dict(subject.details),
                "threads": count,
                "xnnpack": xnnpack,
                "seconds": seconds,
            }


def _ask(subject: Subject, task: dict[str, Any]) -> dict[str, float]:
    command = [sys.executable, "-m", CHILD]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        raise InputError(f"{subject.name}: ended with exit code {done.returncode} ({last}); leave it out")
    told = json.loads(done.stdout)
    if "error" in told:
        raise InputError(told["error"])
    return dict(told)


def _work(subject: Subject) -> Work | None:
    return work(Path(subject.path)) if subject.kind == ".tflite" else None


def _row(subject: Subject, task: dict[str, Any], found: list[dict[str, float]], cost: Work | None) -> Row:
    middle = {key: statistics.median(each[key] for each in found) for key in found[0]}
    return Row(
        name=subject.name,
        kind=subject.kind,
        kilobytes=subject.kilobytes,
        accuracy=subject.accuracy,
        threads=task["threads"],
        xnnpack=task["xnnpack"],
        pieces=int(middle.pop("pieces")),
        macs=cost.macs if cost else None,
        microjoules=cost.microjoules if cost else None,
        **middle,
    )
