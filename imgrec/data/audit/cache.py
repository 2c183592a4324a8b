"""What was found in files before, kept by folder: a file that has not changed is not decoded again.

A file counts as unchanged when its size, its times of change (contents and status) and its number on
the disk are what they were. Files that changed within the last moments before they were examined are
examined again, since a clock is too coarse to tell what came after.
"""

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np

from imgrec.caches import cache_folder
from imgrec.data.audit.examine import Examined, Limits
from imgrec.data.audit.findings import Finding
from imgrec.data.audit.worker import packed, unpacked
from imgrec.data.header import SUFFIXES
from imgrec.files import write_file, write_json

FORMAT = 3
"""Raised whenever another version of the audit would find otherwise."""
_SETTLED_NS = 2_000_000_000
_PASSING = {"unreadable", "too_slow", "crashed", "symlink_loop"}

Signature = tuple[int, int, int, int]


def signature(path: str) -> Signature | None:
    """Size, times of change in ns and disk number of a file; None where it cannot be looked up."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class FileCache:
    """The examined files of one folder, or of one CSV file, under one set of limits."""

    def __init__(self, origin: Path, limits: Limits) -> None:
        facts = [str(origin.resolve()), astuple(limits), sorted(SUFFIXES), cv2.__version__, FORMAT]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
        self._path = cache_folder("audit") / f"files-{digest}.npz"
        self._held: dict[str, tuple[Signature, Examined]] = {}
        try:
            with open(self._path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                rows = json.loads(stored["rows"].tobytes())
                thumbnails = stored["thumbnails"]
        # Damaged or of another making: everything is examined again.
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return
        for name, mark, index, message in rows:
            thumbnail = b"" if index is None else thumbnails[index].tobytes()
            self._held[name] = (tuple(mark), unpacked(message, thumbnail))

    def find(self, name: str, mark: Signature | None) -> Examined | None:
        """Return what was found in the file of this id, if it has not changed since."""
        held = self._held.get(name)
        return held[1] if held is not None and held[0] == mark else None

    def store(self, looked: Iterable[tuple[str, Signature | None, Examined]]) -> None:
        """Keep these files and forget all others; what may pass (a locked or slow file) is not kept."""
        settled = time.time_ns() - _SETTLED_NS
        rows: list[tuple[object, ...]] = []
        thumbnails: list[np.ndarray] = []
        for name, mark, one in looked:
            if mark is None or max(mark[1:3]) > settled or _PASSING & {code for code, _ in one.found}:
                continue
            index = len(thumbnails) if one.thumbnail else None
            if one.thumbnail:
                thumbnails.append(np.frombuffer(one.thumbnail, np.uint8))
            rows.append((name, mark, index, packed(one)))
        if not rows:
            return
        text = np.frombuffer(json.dumps(rows).encode(), np.uint8)
        stacked = np.stack(thumbnails) if thumbnails else np.zeros((0, 0), np.uint8)
        write_file(self._path, lambda path: np.savez(path, rows=text, thumbnails=stacked))


def read_findings(key: str) -> list[Finding] | None:
    """Return what comparing the images of a set gave, if it was done before.

    `key` is a digest of the set's fingerprint and of all that decides what is found.
    """
    try:
        rows = json.loads(_compared(key).read_text(encoding="utf-8"))
        return [Finding(row["id"], row["code"], row["detail"]) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_findings(key: str, findings: Sequence[Finding]) -> None:
    """Keep what `read_findings` returns."""
    write_json(_compared(key), [finding.record() for finding in findings])


def _compared(key: str) -> Path:
    return cache_folder("audit") / f"compared-{FORMAT}-{key[:32]}.json"
