"""SIGTERM and SIGINT during a training: the step is finished and saved, then the process ends."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class Interruption:
    """Whether the process was asked to end.

    While `idle`, when nothing would be lost, it ends at once; else whoever trains looks at `asked` after
    every step, saves, and calls `leave`. A second signal ends it at once in any case.
    """

    def __init__(self) -> None:
        self.idle = True
        self.asked = 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Take both signals, as long as the context lasts; in the main thread, which alone may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def leave(self) -> NoReturn:
        """End as the signal asks: exit code 143, or 130 by way of KeyboardInterrupt."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.asked)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = bool(self.asked), number
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nterminated\n" if number == signal.SIGTERM else b"\n")
        if self.idle or again:
            self.leave()
        os.write(2, b"saving after this step; once more ends at once\n")
