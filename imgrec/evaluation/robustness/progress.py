"""How far an evaluation of minutes is, and how long it will take yet."""

import sys
import time

_SILENT_SECONDS = 2.0
_SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Says after each of `total` steps how far it is: a live line on a terminal, else one now and then."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done = name, total, 0
        self.live = sys.stderr.isatty()
        self._begun = self._told = time.monotonic()

    def step(self, what: str) -> None:
        """Count one step, and say that it was `what`."""
        self.done += 1
        now = time.monotonic()
        left = int((now - self._begun) / self.done * (self.total - self.done))
        line = f"{self.name}: {self.done}/{self.total}, {what}, {left // 60}:{left % 60:02d} left"
        if self.live and now - self._begun > _SILENT_SECONDS:
            end = "\n" if self.done == self.total else ""
            print(f"\r\x1b[2K{line}", end=end, file=sys.stderr, flush=True)
        elif not self.live and now - self._told > _SECONDS_BETWEEN_LINES:
            self._told = now
            print(line, flush=True)
