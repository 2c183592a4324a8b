"""Answers, feedback and decisions, written down without pictures: JSON lines in a folder of bounded size.

A line is whole or not there: a file that a killed server left with a torn last line is not written to again,
and its torn line is passed over. Every further file of a server begins with the comparisons that are on: what
is left when the oldest ones are deleted can still be judged.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from imgrec.errors import InputError

PART = 16 << 20
"""Bytes of a file, a quarter of what the journal may have at most."""
LONGEST = 10_000
"""Bytes of a line, which those that are written here are far from."""
LATEST = 1e11
"""Seconds since 1970 that can be written as a date."""
LEAST = 1e-9
"""Of a share or a chance."""
_NAME = re.compile(r"journal-(\d{8})\.jsonl")


def parts(folder: Path) -> list[Path]:
    """Return the files of a journal, the oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file())


class Journal:
    """The journal that a server writes; one thread uses it."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """Begin a new file in a folder, which is made where it is missing.

        Raises:
            InputError: the folder cannot be made or written to.
        """
        self._folder, self._most = folder, megabytes << 20
        self._part = min(PART, self._most // 4)
        self._standing: dict[str, Mapping[str, Any]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(folder / ".lock", "wb")  # noqa: SIM115
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            last = [int(found[1]) for path in parts(folder) if (found := _NAME.fullmatch(path.name))]
            self._number = max(last, default=0)
            self._stream: IO[bytes] = self._next()
        except BlockingIOError:
            self._lock.close()
            raise InputError(f"--journal {folder}: another server writes there; name another") from None
        except OSError as error:
            raise InputError(f"--journal {folder}: {error.strerror or error}") from None

    def _next(self) -> IO[bytes]:
        """Begin the next file, and delete the oldest where they are too many."""
        self._number += 1
        path = self._folder / f"journal-{self._number:08d}.jsonl"
        stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        held = parts(self._folder)
        room = self._most - self._part
        for old in reversed(held[:-1]):
            room -= old.stat().st_size
            if room < 0:
                old.unlink()
        return stream

    def write(self, events: list[Mapping[str, Any]]) -> None:
        """Write events, one line each, and hand them to the system."""
        for event in events:
            line = _line(event)
            if self._stream.tell() + len(line) > self._part:
                self._stream.close()
                self._stream = self._next()
                self._stream.writelines(map(_line, self._standing.values()))
            self._stream.write(line)
            if event["kind"] == "trial":
                self._standing[event["role"]] = event
            elif event["kind"] == "end":
                self._standing.pop(event["role"], None)
        self._stream.flush()

    def close(self) -> None:
        """Write what is left to the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._lock.close()


def _line(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def is_cut(folder: Path) -> bool:
    """Whether the oldest part of a journal has been deleted."""
    return not any(path.name == f"journal-{1:08d}.jsonl" for path in parts(folder))


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Give the events of a journal, the oldest first; the last has kind `damage` where lines were unreadable.

    Raises:
        InputError: there is no journal.
    """
    held = parts(folder) if folder.is_dir() else []
    if not held:
        raise InputError(f"--journal {folder}: no journal there; `pipelines.serve --journal` writes one")
    damaged = 0
    for path in held:
        with open(path, "rb") as stream:
            while line := stream.readline(LONGEST):
                event = _event(line)
                if event is not None:
                    yield event
                elif line.endswith(b"\n") or len(line) == LONGEST:
                    damaged += 1
    if damaged:
        yield {"kind": "damage", "lines": damaged}


FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "trial": {
        "t": (int, float),
        "role": str,
        "share": (int, float),
        "alpha": float,
        "active": dict,
        "other": dict,
    },
    "end": {"t": (int, float), "role": str},
    "answer": {"t": (int, float), "id": str, "version": str, "label": str, "seconds": (int, float)},
    "shadow": {"t": (int, float), "version": str, "shadow": str, "label": str, "said": str},
    "feedback": {"t": (int, float), "key": str, "version": str, "right": bool},
    "paired": {"t": (int, float), "version": str, "shadow": str, "right": bool, "shadow_right": bool},
    "decision": {"t": (int, float), "role": str, "why": str, "did": str},
}
"""What the judge relies on of each kind of event."""


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, None of one that is torn or was not written here."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line, parse_constant=_no_number)
        if b"\\u" in line:  # half a letter, which no file can hold
            json.dumps(event, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return None
    fields = FIELDS.get(event["kind"])
    if fields is None or not all(isinstance(event.get(name), kind) for name, kind in fields.items()):
        return None
    return event if _sane(event) else None


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _sane(event: Mapping[str, Any]) -> bool:
    """Whether an event's numbers are such as a server writes."""
    if not (0 <= event["t"] <= LATEST and 0 <= event.get("seconds", 0) <= LATEST):
        return False
    if event["kind"] != "trial":
        return True
    role, share = event["role"], event["share"]
    shared = role == "shadow" or (role == "canary" and LEAST <= share <= 1 - LEAST)
    return shared and LEAST <= event["alpha"] <= 1 - LEAST
