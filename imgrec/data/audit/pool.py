"""Worker processes that examine files, so that one which hangs or dies costs one file, which is named.

Not by a library: ProcessPoolExecutor ends with the first worker that dies, and times nothing. `pebble`
5.2.3 times its tasks, but gives up the whole pool ("All workers expired") when workers die just after they
took one, and each of its workers runs the user's script again, which without a `__main__` guard ends it. With
workers started anew after that, 13 deaths in 120 files cost it 15 to 31 s, and the pool below 4.
"""

import contextlib
import dataclasses
import io
import json
import mmap
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from imgrec.data.audit.examine import Examined, Limits, fault
from imgrec.data.audit.scores import THUMBNAIL_BYTES
from imgrec.data.audit.worker import IDLE, LENGTHS, PLACE, STARTING, unpacked
from imgrec.processors import cores

COMMAND = (sys.executable, "-m", "imgrec.data.audit.worker")
_ENVIRONMENT = {
    # For glibc: pixels are allocated and freed all the time; giving the memory back to the system each
    # time costs a fifth of decoding.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 27),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    # NumPy's threads for matrix products would only turn idly on the other workers' processors.
    "OPENBLAS_NUM_THREADS": "1",
}
_START_SECONDS = 120.0
_WATCH_SECONDS = 0.2
_BATCH = 16
# Fewer files than this a worker are not worth its start.
_SHARE = 32

Task = tuple[int, str]


def examine_files(
    paths: Sequence[str], limits: Limits, workers: int = 0, progress: Callable[[int], None] | None = None
) -> list[Examined]:
    """Examine files in worker processes; return what came of each, in order.

    Args:
        paths: the files.
        limits: what one file may cost. One that takes longer is `too_slow`, one that kills its worker
            `crashed`; a new worker goes on with the others.
        workers: processes; 0: as many as processors, and fewer for few files.
        progress: told how many files are done, from another thread.
    """
    if not paths:
        return []
    count = workers or max(1, min(cores(), -(-len(paths) // _SHARE)))
    pool = _Pool(paths, limits, count, progress)
    threads = [threading.Thread(target=pool.serve, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    pool.watch(threads)
    if pool.failure is not None:
        raise pool.failure
    return [pool.done[index] for index in range(len(paths))]


class _Lane:
    """One worker process, the file that it is at, and since when."""

    def __init__(self, limits: Limits) -> None:
        root = str(Path(__file__).parents[3])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed with the process
        self._file.write(PLACE.pack(STARTING))
        self._file.flush()
        self._map = mmap.mmap(self._file.fileno(), PLACE.size)
        self.process = subprocess.Popen(
            [*COMMAND, self._file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self.overdue = False
        self._allowed = limits.max_seconds
        self._last, self._since = STARTING, time.monotonic()
        self.send(dataclasses.asdict(limits))

    @property
    def number(self) -> int:
        """Index of the file that the worker has begun last."""
        return int(PLACE.unpack_from(self._map, 0)[0])

    def is_overdue(self) -> bool:
        """Whether it has been at one file for too long."""
        now, number = time.monotonic(), self.number
        if number != self._last:
            self._last, self._since = number, now
        allowed = _START_SECONDS if number == STARTING else self._allowed
        return number != IDLE and now - self._since > allowed

    def send(self, message: Any) -> None:
        """Write one line; a worker that is gone shows when its answer is read."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def receive(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the next answer; None when the worker is gone."""
        head = self._read(LENGTHS.size)
        if head is None:
            return None
        text, blob = LENGTHS.unpack(head)
        body = self._read(text + blob)
        return None if body is None else (json.loads(body[:text]), body[text:])

    def _read(self, size: int) -> bytes | None:
        assert self.process.stdout is not None
        data = self.process.stdout.read(size)
        return data if len(data) == size else None

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]
        self.process.wait()
        self._map.close()
        self._file.close()


class _Pool:
    def __init__(
        self, paths: Sequence[str], limits: Limits, workers: int, progress: Callable[[int], None] | None
    ) -> None:
        self.limits, self.progress = limits, progress
        self.done: dict[int, Examined] = {}
        self.failure: Exception | None = None
        self._lanes: set[_Lane] = set()
        self._lock = threading.Lock()
        self._batches: queue.SimpleQueue[list[Task]] = queue.SimpleQueue()
        self._size = size = max(1, min(_BATCH, len(paths) // (4 * workers)))
        tasks = list(enumerate(paths))
        for start in range(0, len(tasks), size):
            self._batches.put(tasks[start : start + size])

    def serve(self) -> None:
        """One thread: keep one worker busy, and replace it when it is lost, until no file is left."""
        lane: _Lane | None = None
        sent: deque[Task] = deque()
        try:
            while self.failure is None:
                lane = self._feed(lane, sent)
                if lane is None or not sent:
                    return
                answer = lane.receive()
                if answer is not None:
                    self._take(sent, *answer)
                    continue
                self._blame(lane, sent)
                self._end(lane)
                lane = None
        except Exception as error:
            self.failure = self.failure or error
        finally:
            if lane is not None:
                self._end(lane)

    def _feed(self, lane: _Lane | None, sent: deque[Task]) -> _Lane | None:
        """See that a worker has a list at hand beside the one it is at; start one where there is none.

        `sent` are the files that it has not answered yet; a new worker is sent them again. With nothing
        left to do, `sent` stays empty.
        """
        if lane is None and sent:
            lane = self._start()
            lane.send(list(sent))
        while len(sent) <= self._size:
            try:
                batch = self._batches.get_nowait()
            except queue.Empty:
                break
            lane = lane or self._start()
            lane.send(batch)
            sent += batch
        return lane

    def _start(self) -> _Lane:
        lane = _Lane(self.limits)
        with self._lock:
            self._lanes.add(lane)
        if lane.receive() is None:
            self._end(lane)
            raise RuntimeError(f"a worker of the audit did not start: {' '.join(COMMAND)}")
        return lane

    def _end(self, lane: _Lane) -> None:
        with self._lock:
            self._lanes.discard(lane)
        lane.close()

    def _take(self, sent: deque[Task], message: dict[str, Any], thumbnails: bytes) -> None:
        """Keep the answer to one list, the files of which stand first in `sent`."""
        if "bug" in message:
            raise RuntimeError(f"the audit failed on a file:\n{message['bug']}")
        stream = io.BytesIO(thumbnails)
        for row in message["done"]:
            thumbnail = stream.read(THUMBNAIL_BYTES) if row["scores"] else b""
            self._store(sent.popleft()[0], unpacked(row, thumbnail))

    def _blame(self, lane: _Lane, sent: deque[Task]) -> None:
        """Name the file that a lost worker was at, and take it from those that are still to do."""
        left = [index for index, _ in sent]
        number = left.index(lane.number) if lane.number in left else 0
        code, what = "crashed", f"the decoder died of it (exit {lane.process.wait()})"
        if lane.overdue:
            code, what = "too_slow", f"took more than {self.limits.max_seconds:g} s"
        self._store(left[number], fault(code, f"{what}; replace it or take it out"))
        del sent[number]

    def _store(self, index: int, result: Examined) -> None:
        self.done[index] = result
        if self.progress is not None:
            self.progress(len(self.done))

    def watch(self, threads: Sequence[threading.Thread]) -> None:
        """Kill workers that are overdue, until every thread has ended; end them all when interrupted."""
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(_WATCH_SECONDS)
                    self._kill(_Lane.is_overdue)
        except BaseException:
            self.failure = RuntimeError("interrupted")
            self._kill(lambda lane: True)
            raise

    def _kill(self, chosen: Callable[[_Lane], bool]) -> None:
        with self._lock:
            for lane in self._lanes:
                if chosen(lane):
                    lane.overdue = True
                    lane.process.kill()
