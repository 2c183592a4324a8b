"""A process that examines files for `pool.py`: paths come in by standard input, results go out by output.

Each line that comes in is JSON, first the limits, then lists of [index, path]. Each result is two
lengths, JSON and thumbnail. Before it opens a file the worker writes its index to a mapped file, so
that the parent knows which file a dead or silent worker was at; so results can leave a few at a time.
"""

import json
import mmap
import os
import struct
import sys
import tempfile
import traceback
from typing import BinaryIO

import cv2

from imgrec.data.audit.examine import Examined, FileFacts, Limits, examine
from imgrec.data.audit.scores import Scores

LENGTHS = struct.Struct(">II")
PLACE = struct.Struct("q")
STARTING, IDLE = -2, -1
"""What stands in the place of an index before the first file and between two lists."""
_HELD_BYTES = 1 << 16


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


def send(stream: BinaryIO, message: dict[str, object], thumbnail: bytes = b"") -> None:
    """Write one result."""
    text = json.dumps(message).encode()
    stream.write(LENGTHS.pack(len(text), len(thumbnail)) + text + thumbnail)


def packed(index: int, done: Examined) -> dict[str, object]:
    """A result as JSON."""
    facts = None if done.facts is None else tuple(vars(done.facts).values())
    return {"index": index, "facts": facts, "scores": done.scores, "found": done.found}


def unpacked(message: dict[str, object], thumbnail: bytes) -> Examined:
    """The reverse of `packed`, in the parent."""
    facts, scores, found = (message[key] for key in ("facts", "scores", "found"))
    return Examined(
        FileFacts(*facts) if isinstance(facts, list) else None,
        Scores(*scores) if isinstance(scores, list) else None,
        thumbnail,
        tuple((code, detail) for code, detail in found) if isinstance(found, list) else (),
    )


def main() -> None:
    """Examine until standard input ends; the argument names the file of the place."""
    # The results' way out is kept apart from whatever a library may print.
    out = os.fdopen(os.dup(1), "wb", _HELD_BYTES)
    said = Listener()
    os.dup2(2, 1)
    cv2.setNumThreads(1)
    # What is wrong within a TIFF is said in no other way.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    limits = Limits(**json.loads(sys.stdin.buffer.readline()))
    send(out, {"ready": True})
    out.flush()
    with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), PLACE.size) as place:
        for line in sys.stdin.buffer:
            for index, path in json.loads(line):
                PLACE.pack_into(place, 0, index)
                try:
                    done = examine(path, limits, said)
                except Exception:  # our own mistake, handed to the parent, which raises it
                    send(out, {"bug": f"{path!r}\n{traceback.format_exc()}"})
                    out.flush()
                    return
                send(out, packed(index, done), done.thumbnail)
            PLACE.pack_into(place, 0, IDLE)
            out.flush()


if __name__ == "__main__":
    main()
