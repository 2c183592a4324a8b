"""Lines of a log: one a request, written by a thread of its own, so that no disk keeps an answer waiting."""

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from imgrec.errors import InputError
from imgrec.serving.watch_settings import WatchSettings

PAUSE = 0.2
"""Seconds between two writes."""
BEHIND = 10
"""Seconds' worth of lines that wait at most for a disk that hangs."""


class Line(NamedTuple):
    """What is written of a request; a picture, a token and whatever else a client says never is.

    id: of the request; of a client's own letters, digits and `._:/+=@-` come through.
    status, milliseconds, bytes: of its answer, and the size of what came in.
    version, label, probability, margin: of the answer, where there is one.
    waiting: how many requests were in the queue then.
    """

    id: str
    route: str
    status: int
    milliseconds: float
    bytes: int
    version: str = ""
    label: str = ""
    probability: float | None = None
    margin: float | None = None
    waiting: int = 0

    def fields(self) -> dict[str, Any]:
        """Return what there is to say, the shortest form of it."""
        numbers = {"milliseconds": self.milliseconds, "probability": self.probability, "margin": self.margin}
        short = {name: round(value, 4) for name, value in numbers.items() if value is not None}
        return {
            name: short.get(name, value) for name, value in self._asdict().items() if value not in ("", None)
        }


class Log:
    """Takes lines at any rate and writes those that are allowed; what it leaves out it counts.

    In every second the first `log_rate` requests have a line, and none while the writer is `BEHIND`; events,
    such as alarms, always have theirs.

    Attributes:
        dropped: requests without a line.
    """

    def __init__(self, settings: WatchSettings) -> None:
        """Open the file, and start the writer.

        Raises:
            InputError: the file cannot be written.
        """
        self._form, self._rate, self.dropped = settings.log, settings.log_rate, 0
        self._second, self._count, self._told = 0, 0, 0
        self._lines: deque[tuple[float, Mapping[str, Any] | Line]] = deque()
        self._end = threading.Event()
        try:
            named = settings.log_file.name != ""
            self._file = open(settings.log_file, "a", encoding="utf-8") if named else None  # noqa: SIM115
        except OSError as error:
            raise InputError(
                f"--log-file {settings.log_file}: cannot be written ({error.strerror})"
            ) from None
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()

    def wants(self) -> bool:
        """Whether a request's line is to be made now; counts it."""
        if self._form == "off":
            return False
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        if self._count >= self._rate or len(self._lines) >= BEHIND * self._rate:
            self.dropped += 1
            return False
        self._count += 1
        return True

    def request(self, line: Line) -> None:
        """Have a line written that was wanted."""
        self._lines.append((time.time(), line))

    def event(self, name: str, **fields: Any) -> None:
        """Have something else written."""
        self._lines.append((time.time(), {"event": name, **fields}))

    def close(self) -> None:
        """Write what is left."""
        self._end.set()
        self._writer.join(timeout=5)
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        while not self._end.wait(PAUSE):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """Write what there is; a disk that is full loses it, and nothing else happens."""
        lines = []
        while self._lines:
            lines.append(self._text(*self._lines.popleft()))
        if (dropped := self.dropped) > self._told:
            lines.append(self._text(time.time(), {"event": "dropped", "lines": dropped - self._told}))
            self._told = dropped
        if not lines:
            return
        try:
            file = self._file or sys.stderr
            file.write("".join(lines))
            file.flush()
        except OSError:
            self.dropped += len(lines)

    def _text(self, moment: float, line: Mapping[str, Any] | Line) -> str:
        fields = line.fields() if isinstance(line, Line) else dict(line)
        when = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._form == "text":
            told = " ".join(f"{name}={json.dumps(value)}" for name, value in fields.items())
            return f"{when} {told}\n"
        # Letters beyond ASCII stay escaped: no line can hold what a terminal would obey.
        return json.dumps({"time": when, **fields}) + "\n"
