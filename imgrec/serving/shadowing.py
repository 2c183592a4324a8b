"""A shadow is asked what clients ask, after they have their answer and when nobody waits for one."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from imgrec.serving.observed import Request, Seen, seen_of
from imgrec.serving.refusal import RefusedError
from imgrec.serving.source import Source, Version
from imgrec.serving.wire import Frame

WAITING, BYTES = 32, 32 << 20
"""Requests that wait for a quiet moment at most, and their bytes; it is no use to fall behind."""
PAUSE = 0.005
"""Seconds until the next look for such a moment."""


class Shadowing:
    """Gives requests to the shadow, where there is one, and hands what it says to observers.

    One is begun only while the workers of versions that answer have nothing to do, and none is on its way to
    them. What is dropped follows from the load, not from pictures: those that are compared are a fair part.

    Attributes:
        asked, dropped, failed: how many requests it was given, not given as there was too much to do, and did
            not answer.
    """

    def __init__(self, source: Source, tell: Callable[[Sequence[Seen]], None]) -> None:
        """Take where versions come from, and who is told."""
        self._source, self._tell = source, tell
        self._waiting: deque[tuple[Version, Frame, Request]] = deque()
        self._bytes = 0
        self._busy = False
        self._next: asyncio.Handle | None = None
        self.asked = self.dropped = self.failed = 0

    def ask(self, answered: Version, frame: Frame, request: Request) -> None:
        """Give the shadow what the active version has answered, in a quiet moment if one comes soon."""
        if self._source.shadow is None or answered is not self._source.current:
            return
        if len(self._waiting) >= WAITING or self._bytes + len(frame.body) > BYTES:
            self.dropped += 1
            return
        self._waiting.append((answered, frame, request))
        self._bytes += len(frame.body)
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Begin the next one if it is quiet, and look again soon while some wait."""
        self._next = None
        shadow = self._source.shadow
        while self._waiting and (shadow is None or (not self._busy and self._is_quiet(shadow))):
            answered, frame, request = self._waiting.popleft()
            self._bytes -= len(frame.body)
            if shadow is None or answered is not self._source.current:  # one of them has gone meanwhile
                self.dropped += 1
            else:
                self._give(shadow, frame, request)
        if self._waiting:
            self._next = asyncio.get_running_loop().call_later(PAUSE, self._look)

    def _is_quiet(self, shadow: Version) -> bool:
        pools = (version.pool for version in self._source.versions() if version is not shadow)
        return not any(pool.busy or pool.waiting or pool.held for pool in pools)

    def _give(self, shadow: Version, frame: Frame, request: Request) -> None:
        self.asked += 1
        self._busy = True
        begun = time.perf_counter()

        def replied(reply: Frame | RefusedError) -> None:
            self._busy = False
            if self._next is not None:  # rather than in a while
                self._next.cancel()
                self._next = asyncio.get_running_loop().call_soon(self._look)
            if isinstance(reply, RefusedError) or reply.code != 200:
                self.failed += 1
                return
            seconds = time.perf_counter() - begun
            told = Request(request.id, request.key, "shadow", shadow.facts, seconds, request.picture)
            self._tell(seen_of(told, reply))

        shadow.pool.submit(frame, replied)
