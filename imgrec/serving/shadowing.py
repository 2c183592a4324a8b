"""A shadow is asked what clients ask, after they have their answer and when nobody waits for one."""

import time
from collections.abc import Callable, Sequence

from imgrec.serving.observed import Request, Seen, seen_of
from imgrec.serving.refusal import RefusedError
from imgrec.serving.source import Source, Version
from imgrec.serving.wire import Frame

WAITING = 4
"""Requests that wait for a shadow at most; it is no use to fall behind."""


class Shadowing:
    """Gives requests to the shadow, where there is one, and hands what it says to observers.

    Attributes:
        asked, dropped, failed: how many requests it was given, not given as there was too much to do, and did
            not answer.
    """

    def __init__(self, source: Source, tell: Callable[[Sequence[Seen]], None]) -> None:
        """Take where versions come from, and who is told."""
        self._source, self._tell = source, tell
        self.asked = self.dropped = self.failed = 0

    def ask(self, answered: Version, frame: Frame, request: Request) -> None:
        """Give the shadow what the active version has answered; it is dropped where others wait."""
        shadow = self._source.shadow
        if shadow is None or answered is not self._source.current:
            return
        if answered.pool.waiting or shadow.pool.waiting >= WAITING:
            self.dropped += 1
            return
        self.asked += 1
        begun = time.perf_counter()
        shadow.pool.held += 1

        def replied(reply: Frame | RefusedError) -> None:
            shadow.pool.held -= 1
            if isinstance(reply, RefusedError) or reply.code != 200:
                self.failed += 1
                return
            seconds = time.perf_counter() - begun
            told = Request(request.id, request.key, "shadow", shadow.facts, seconds, request.picture)
            self._tell(seen_of(told, reply))

        shadow.pool.submit(frame, replied)
