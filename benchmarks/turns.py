"""Processes that take turns: one asks each for so many steps, and each measures its own.

Neither end imports more than Python's own library, so that a process may belong to any interpreter.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.paired import processor_seconds

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Turn:
    """What a turn took of a process: seconds a step, and its peak memory in bytes up to then."""

    wall: float
    cpu: float
    peak: int


class Answering:
    """A process's own end: it takes steps as long as it is asked to, and tells what they took.

    A line `N` on standard input asks for N steps. Everything between one call of `before_step` and the next
    counts as one step, whatever was called within it.
    """

    def __init__(self) -> None:
        self._left = self._asked = 0
        self._begun = (0.0, 0.0)
        # What the libraries print goes to standard error, and nothing but answers to standard output.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def before_step(self) -> None:
        """Answer if a turn is over, and wait for the next.

        Raises:
            SystemExit: nobody asks any more.
        """
        if not self._left:
            if self._asked:
                wall, cpu = time.perf_counter() - self._begun[0], processor_seconds() - self._begun[1]
                turn = {"wall": wall / self._asked, "cpu": cpu / self._asked, "peak": peak_memory()}
                print(json.dumps(turn), file=self._answers, flush=True)
            line = sys.stdin.readline()
            if not line:
                sys.exit()
            self._left = self._asked = int(line)
            self._begun = time.perf_counter(), processor_seconds()
        self._left -= 1


def peak_memory() -> int:
    """Bytes of memory that this process has held at its most (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


class Asking:
    """The other end: a process that answers.

    Args:
        name: for messages and tables.
        command: interpreter and its arguments, run in the repository's root.
        environment: added to this process's.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdin=pipe, stdout=pipe, text=True
        )

    def turn(self, steps: int) -> Turn:
        """Have `steps` steps taken.

        Raises:
            SystemExit: the process has ended instead.
        """
        with contextlib.suppress(BrokenPipeError):
            print(steps, file=self._pipe(self._process.stdin), flush=True)
        line = self._pipe(self._process.stdout).readline()
        if not line:
            sys.exit(f"{self.name}: ended with exit code {self._process.wait()} instead of taking a step")
        return Turn(**json.loads(line))

    def close(self) -> None:
        """Let the process end."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe(self._process.stdin).close()
        self._pipe(self._process.stdout).close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextlib.contextmanager
def closing(sides: list[Asking]) -> Iterator[list[Asking]]:
    """Close those in the list at the end, also those that are added later."""
    try:
        yield sides
    finally:
        for side in sides:
            side.close()


def rounds(sides: Sequence[Asking], count: int, steps: int) -> dict[str, list[Turn]]:
    """Let the sides take `count` turns of `steps` steps each, one after another."""
    taken: dict[str, list[Turn]] = {side.name: [] for side in sides}
    for _ in range(count):
        for side in sides:
            taken[side.name].append(side.turn(steps))
    return taken


def figures(taken: Mapping[str, Sequence[Turn]]) -> dict[str, dict[str, float]]:
    """Sum up each side's turns: medians of them, and of each round's ratio to the first side.

    Returns:
        By side: wall, cpu (seconds a step), wall_ratio, cpu_ratio (above 1, the first side is faster) and
        peak (bytes, of the last turn).
    """
    first = next(iter(taken.values()))

    def ratio(turns: Sequence[Turn], cost: Callable[[Turn], float]) -> float:
        return statistics.median(cost(b) / max(cost(a), 1e-9) for a, b in zip(first, turns, strict=True))

    return {
        name: {
            "wall": statistics.median(turn.wall for turn in turns),
            "cpu": statistics.median(turn.cpu for turn in turns),
            "wall_ratio": ratio(turns, lambda turn: turn.wall),
            "cpu_ratio": ratio(turns, lambda turn: turn.cpu),
            "peak": turns[-1].peak,
        }
        for name, turns in taken.items()
    }
