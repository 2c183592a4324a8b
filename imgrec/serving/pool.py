"""The worker processes of one model, with a bounded queue before them; one that dies is replaced."""

import asyncio
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from imgrec.errors import InputError
from imgrec.serving.facts import Facts, facts_of
from imgrec.serving.limits import Limits
from imgrec.serving.refusal import RefusedError
from imgrec.serving.wire import HELLO, Frame, Splitter

STARTING = 300.0
"""Seconds until a worker has said hello; TensorFlow takes a good part of a minute on a busy machine."""
QUICK = 5.0
"""Of models that take fewer milliseconds a worker has the next job before it asks for it."""
LONGEST_PAUSE = 5.0
"""Seconds between starts of a worker that dies again and again."""
TRIES = 2
"""A job whose worker died is given to another, once."""


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


@dataclass(eq=False)
class Job:
    """A request on its way; `reply` gets the worker's frame, or a RefusedError."""

    frame: Frame
    reply: "asyncio.Future[Frame]"
    timer: asyncio.TimerHandle | None = None
    tries: int = 0
    worker: "Worker | None" = None

    def ended(self, _: object) -> None:
        """It has its reply: it can't be late any more."""
        if self.timer is not None:
            self.timer.cancel()


@dataclass(eq=False)
class Worker(asyncio.Protocol):
    """The server's end of one worker process."""

    pool: "Pool"
    process: "subprocess.Popen[bytes]"
    hello: "asyncio.Future[Facts]"
    began: float = field(default_factory=time.monotonic)
    jobs: dict[int, Job] = field(default_factory=dict)
    ready: bool = False

    def __post_init__(self) -> None:
        self._splitter = Splitter()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the worker."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self, job: Job) -> None:
        """Give the worker a job more."""
        job.worker = self
        job.tries += 1
        self.jobs[job.frame.number] = job
        self._transport.write(job.frame.packed())

    def data_received(self, data: bytes) -> None:
        """Take replies, and the hello before them."""
        for frame in self._splitter.feed(data):
            if frame.number == HELLO:
                self._greeted(frame)
                continue
            job = self.jobs.pop(frame.number)
            if not job.reply.done():
                job.reply.set_result(frame)
        self.pool.feed()

    def _greeted(self, frame: Frame) -> None:
        if self.hello.done():
            return
        if frame.code != 200:
            self.hello.set_exception(InputError(frame.body.decode()))
            return
        self.ready = True
        self.hello.set_result(facts_of(frame.body))

    def connection_lost(self, error: Exception | None) -> None:
        """The process has ended, or will by this."""
        self.ready = False
        self.process.kill()
        if not self.hello.done():
            self.hello.set_exception(ChildProcessError("a worker ended before it could answer"))
        self.pool.lost(self)

    def close(self) -> None:
        """Let the process end."""
        self._transport.close()


class Pool:
    """Workers that all serve the same file, and the requests that wait for one of them."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self.plan, self.limits = plan, limits
        self.workers: list[Worker] = []
        self.facts: Facts
        self.died = 0
        self._window = 1
        self._waiting: deque[Job] = deque()
        self._number = 0
        self._left = 0  # waiting jobs that nobody waits for any more
        self._failures = 0
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._waiting) - self._left

    @property
    def busy(self) -> int:
        """How many requests workers have."""
        return sum(len(worker.jobs) for worker in self.workers)

    @property
    def ready(self) -> bool:
        """Whether a worker can answer."""
        return any(worker.ready for worker in self.workers)

    @property
    def patience(self) -> int:
        """Seconds until the queue will have been answered, at least 1."""
        ahead = (self.waiting + self.busy) * self.facts.milliseconds / 1000 / max(1, len(self.workers))
        return max(1, round(ahead))

    async def start(self) -> None:
        """Start the workers and wait for all of them.

        Raises:
            InputError: the model cannot be served.
        """
        started = [await self._start() for _ in range(self.plan.workers)]
        try:
            async with asyncio.timeout(STARTING):
                self.facts, *_ = await asyncio.gather(*(worker.hello for worker in started))
        except (InputError, ChildProcessError, TimeoutError) as error:
            self.close()
            if isinstance(error, InputError):
                raise
            said = str(error) or f"no worker was ready within {STARTING:.0f} s"
            raise InputError(f"{self.plan.path}: {said}; what it printed stands above") from None
        quick = self.facts.milliseconds < QUICK
        self._window = 2 * self.facts.batch if quick or self.facts.batch > 1 else 1

    async def _start(self) -> Worker:
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-m", "imgrec.serving.worker", str(theirs.fileno()), str(self.plan.path)]
        with theirs:
            process = subprocess.Popen(
                [*words, *self.plan.options], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        loop = asyncio.get_running_loop()
        worker = Worker(self, process, loop.create_future())
        self.workers.append(worker)
        ours.setblocking(False)
        await loop.create_unix_connection(lambda: worker, sock=ours)
        return worker

    def ask(self, frame: Frame) -> "asyncio.Future[Frame]":
        """Queue a job; its `number` is given here.

        Raises:
            RefusedError: 429 where the queue is full, 503 where there is no worker at all. The future raises
                it, too: 504 after `limits.seconds`, 503 of a job that ended two workers.
        """
        if self.waiting >= self.limits.waiting:
            raise RefusedError(429, "too many requests are waiting; send it again", self.patience)
        if not self.ready and self._failures >= TRIES:
            raise RefusedError(503, "no worker is ready", 1)
        loop = asyncio.get_running_loop()
        self._number = self._number % 0xFFFFFFFF + 1
        job = Job(frame._replace(number=self._number), loop.create_future())
        job.timer = loop.call_later(self.limits.seconds, self._late, job)
        job.reply.add_done_callback(job.ended)
        self._waiting.append(job)
        self.feed()
        return job.reply

    def feed(self) -> None:
        """Hand waiting jobs to workers with the fewest of them."""
        while self._waiting:
            able = [each for each in self.workers if each.ready and len(each.jobs) < self._window]
            if not able:
                return
            job = self._waiting.popleft()
            if job.reply.done():
                self._left -= 1
                continue
            min(able, key=lambda worker: len(worker.jobs)).send(job)

    def _late(self, job: Job) -> None:
        if job.reply.done():
            return
        job.reply.set_exception(RefusedError(504, f"no answer within {self.limits.seconds:g} s"))
        if job.worker is None:
            self._left += 1
        else:
            asyncio.get_running_loop().call_later(self.limits.seconds, self._hung, job)

    def _hung(self, job: Job) -> None:
        """End a worker that still has a job which is late by as much again."""
        if job.worker is not None and job.frame.number in job.worker.jobs:
            job.worker.process.kill()

    def lost(self, worker: Worker) -> None:
        """Give a dead worker's jobs to others, and start one in its place."""
        if worker in self.workers:
            self.workers.remove(worker)
        for job in reversed(worker.jobs.values()):
            if job.reply.done():
                continue
            job.worker = None
            if job.tries >= TRIES or self._closing:
                job.reply.set_exception(RefusedError(503, "the worker ended before it answered", 1))
            else:
                self._waiting.appendleft(job)
        self._keep(asyncio.to_thread(worker.process.wait))
        if not self._closing:
            self.died += 1
            self._keep(self._replace(worker))
            self.feed()

    async def _replace(self, dead: Worker) -> None:
        alone = time.monotonic() - dead.began < LONGEST_PAUSE
        self._failures = self._failures + 1 if alone else 0
        await asyncio.sleep(
            min(LONGEST_PAUSE, 0.1 * 2 ** min(self._failures, 10)) if self._failures > 1 else 0
        )
        if self._closing:
            return
        worker = await self._start()
        try:
            async with asyncio.timeout(STARTING):
                await worker.hello
        except (InputError, ChildProcessError, TimeoutError) as error:
            print(f"worker: not ready: {error}", file=sys.stderr, flush=True)
            worker.close()

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until every request has its answer."""
        while self.waiting or any(
            not job.reply.done() for each in self.workers for job in each.jobs.values()
        ):
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """End the workers."""
        self._closing = True
        for worker in list(self.workers):
            worker.close()
