"""What a pool of workers is made by, and what it is given to do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imgrec.serving.refusal import RefusedError
from imgrec.serving.wire import Frame


@dataclass(frozen=True)
class Plan:
    """How the workers of a model are started.

    path: a run folder or one of its files.
    workers: how many.
    options: further words of `worker.py`.
    """

    path: Path
    workers: int
    options: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class Job:
    """A request on its way; `done` is called once, with the worker's frame or why there is none."""

    frame: Frame
    done: Callable[[Frame | RefusedError], None]
    deadline: float
    tries: int = 0
