"""A process that examines files for `pool.py`: paths come in by standard input, results go out by output.

Each line that comes in is JSON, first the limits, then lists of [index, path]. Each list is answered by
two lengths, JSON and the thumbnails. Before it opens a file the worker writes its index to a mapped file,
so that the parent knows which file a dead or silent worker was at.
"""

import json
import mmap
import os
import struct
import sys
import tempfile
import traceback
from typing import Any, BinaryIO

import cv2

from imgrec.data.audit.examine import Examined, FileFacts, Limits, examine
from imgrec.data.audit.scores import Scores

LENGTHS = struct.Struct(">II")
PLACE = struct.Struct("q")
STARTING, IDLE = -2, -1
"""What stands in the place of an index before the first file and between two lists."""


class Listener:
    """Catches what libraries print on standard error from C."""

    def __init__(self) -> None:
        self._held = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        os.dup2(self._held.fileno(), 2)

    def __call__(self) -> str:
        """Return what was printed since the last call."""
        size = os.fstat(2).st_size
        if not size:
            return ""
        text = os.pread(2, size, 0).decode("utf-8", "replace")
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
        return text


def send(stream: BinaryIO, message: dict[str, object], thumbnails: bytes = b"") -> None:
    """Write one answer."""
    text = json.dumps(message).encode()
    stream.write(LENGTHS.pack(len(text), len(thumbnails)) + text + thumbnails)
    stream.flush()


def packed(done: Examined) -> dict[str, object]:
    """A result as JSON, but for its thumbnail."""
    facts = None if done.facts is None else tuple(vars(done.facts).values())
    return {"facts": facts, "scores": done.scores, "found": done.found}


def unpacked(message: dict[str, Any], thumbnail: bytes) -> Examined:
    """The reverse of `packed`, in the parent."""
    facts = FileFacts(*message["facts"]) if message["facts"] else None
    scores = Scores(*message["scores"]) if message["scores"] else None
    return Examined(facts, scores, thumbnail, tuple((code, detail) for code, detail in message["found"]))


def main() -> None:
    """Examine until standard input ends; the argument names the file of the place."""
    # The results' way out is kept apart from whatever a library may print.
    out = os.fdopen(os.dup(1), "wb")
    said = Listener()
    os.dup2(2, 1)
    cv2.setNumThreads(1)
    # What is wrong within a TIFF is said in no other way.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    limits = Limits(**json.loads(sys.stdin.buffer.readline()))
    send(out, {"ready": True})
    with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), PLACE.size) as index:
        for line in sys.stdin.buffer:
            tasks = json.loads(line)
            try:
                done = _examined(tasks, limits, said, index)
            except Exception:  # our own mistake, handed to the parent, which raises it
                path = dict(tasks)[PLACE.unpack_from(index, 0)[0]]
                send(out, {"bug": f"{path!r}\n{traceback.format_exc()}"})
                return
            PLACE.pack_into(index, 0, IDLE)
            send(out, {"done": list(map(packed, done))}, b"".join(one.thumbnail for one in done))


def _examined(
    tasks: list[tuple[int, str]], limits: Limits, said: Listener, index: mmap.mmap
) -> list[Examined]:
    indices, paths = zip(*tasks, strict=True)
    return examine(paths, limits, said, lambda at: PLACE.pack_into(index, 0, indices[at]))


if __name__ == "__main__":
    main()
