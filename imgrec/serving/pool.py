"""The worker processes of one model, with a bounded queue before them; one that dies is replaced."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, cast

from imgrec.errors import InputError
from imgrec.serving.facts import Facts, facts_of
from imgrec.serving.jobs import Job, Plan
from imgrec.serving.limits import Limits
from imgrec.serving.refusal import RefusedError
from imgrec.serving.wire import HELLO, Frame, Splitter

STARTING = 300.0
"""Seconds until a worker has said hello; TensorFlow takes a good part of a minute on a busy machine."""
QUICK = 5.0
"""Of models that take fewer milliseconds a worker has the next job before it asks for it."""
LONGEST_PAUSE = 5
"""Seconds between starts of a worker that dies again and again."""
ENDING = 5.0
"""Seconds that workers have to end by themselves."""
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
"""Of a worker. Where others work on the same cores, threads that shrink a photo wait for each other: of four
megapixels for a model of 8 × 6 it took seconds, in place of a tenth of one."""
TICK = 0.05
"""Seconds between looks at what is late."""
TRIES = 2
"""A job whose worker died is given to another, once."""


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
        job.tries += 1
        self.jobs[job.frame.number] = job
        self._transport.write(job.frame.packed())

    def data_received(self, data: bytes) -> None:
        """Take replies, and the hello before them."""
        for frame in self._splitter.feed(data):
            if frame.number == HELLO:
                self._greeted(frame)
                continue
            del self.jobs[frame.number]
            self.pool.finish(frame.number, frame)
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
        self._all: set[Worker] = set()  # those too that are about to end
        self.died = 0
        self.held = (
            0  # requests that were picked for this pool, and have not come yet: their body is on its way
        )
        self._window = 1
        self._open: dict[int, Job] = {}
        self._waiting: OrderedDict[int, Job] = OrderedDict()
        self._number = 0
        self._failures = 0
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._waiting)

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
        # While one batch is answered the next one is on its way.
        self._window = 2 * self.facts.batch if self.facts.milliseconds < QUICK else self.facts.batch
        self._keep(self._watch())

    async def _start(self) -> Worker:
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-m", "imgrec.serving.worker", str(theirs.fileno()), str(self.plan.path)]
        with theirs:
            process = subprocess.Popen(
                [*words, *self.plan.options],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=ENVIRONMENT | os.environ,
            )
        loop = asyncio.get_running_loop()
        worker = Worker(self, process, loop.create_future())
        self.workers.append(worker)
        self._all.add(worker)
        ours.setblocking(False)
        await loop.create_unix_connection(lambda: worker, sock=ours)
        return worker

    def submit(self, frame: Frame, done: Callable[[Frame | RefusedError], None]) -> None:
        """Queue a job; its `number` is given here.

        `done` is called once: with the reply, or a refusal: 429 where the queue is full, 503 where workers
        don't start or a job ended two of them, 504 after `limits.seconds`.
        """
        if len(self._waiting) >= self.limits.waiting:
            done(RefusedError(429, "too many requests are waiting; send it again", self.patience))
            return
        if not self.ready and self._failures >= TRIES:
            done(RefusedError(503, "no worker is ready", LONGEST_PAUSE))
            return
        number = self._number = self._number % 0xFFFFFFFF + 1
        job = Job(frame._replace(number=number), done, time.monotonic() + self.limits.seconds)
        self._open[number] = self._waiting[number] = job
        self.feed()

    def finish(self, number: int, reply: Frame | RefusedError) -> None:
        """Pass on a reply, if nobody gave up on it before."""
        job = self._open.pop(number, None)
        if job is not None:
            job.done(reply)

    def feed(self) -> None:
        """Hand waiting jobs to the workers with the fewest of them."""
        while self._waiting:
            able = [each for each in self.workers if each.ready and len(each.jobs) < self._window]
            if not able:
                return
            job = self._waiting.popitem(last=False)[1]
            min(able, key=lambda worker: len(worker.jobs)).send(job)

    async def _watch(self) -> None:
        """Answer what is late, and end workers that keep a late job for as long again."""
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for number in self._late(now):
                self._waiting.pop(number, None)
                self.finish(number, RefusedError(504, f"no answer within {self.limits.seconds:g} s"))
            for worker in self.workers:
                if any(job.deadline + self.limits.seconds <= now for job in worker.jobs.values()):
                    worker.process.kill()

    def _late(self, now: float) -> list[int]:
        """Return the jobs whose time is over; those that are open stand in the order of their deadlines."""
        return [job.frame.number for job in takewhile(lambda job: job.deadline <= now, self._open.values())]

    def lost(self, worker: Worker) -> None:
        """Give a dead worker's jobs to others, and start one in its place."""
        if worker in self.workers:
            self.workers.remove(worker)
        again = {}
        for number, job in worker.jobs.items():
            if number in self._open and job.tries < TRIES and not self._closing:
                again[number] = job
            else:
                self.finish(number, RefusedError(503, "the worker ended before it answered", 1))
        self._waiting = OrderedDict({**again, **self._waiting})
        self._keep(self._reap(worker))
        if not self._closing:
            self.died += 1
            self._keep(self._replace(worker))
            self.feed()

    async def _reap(self, worker: Worker) -> None:
        while worker.process.poll() is None:
            await asyncio.sleep(0.05)
        self._all.discard(worker)

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
        """Wait until every request has its answer, those too whose bodies are on their way."""
        while self._open or self.held:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """End the workers; `ended` waits for that."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for worker in list(self.workers):
            worker.close()

    async def ended(self) -> None:
        """Wait until no worker is left; end those that take too long."""
        left = [worker.process for worker in self._all]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENDING):
                while any(process.poll() is None for process in left):
                    await asyncio.sleep(0.01)
        for process in left:
            if process.poll() is None:
                process.kill()
                process.wait()
