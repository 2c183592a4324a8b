"""What the server and its workers send each other: frames of numbers, a short text and bytes."""

import struct
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

_HEAD = struct.Struct("<IHHIII")
NONE = 0xFFFFFFFF
"""Stands in `head` where there is no length of a JSON part."""
PREDICT, INFER, EXPLAIN = 1, 2, 3
"""Codes of jobs: an answer as `pipelines.predict` gives it; tensors, by the Open Inference Protocol; a PNG of
what an answer rests on."""
HELLO = 0
"""Number of a worker's first frame, which says what it serves; jobs count from 1."""


class Frame(NamedTuple):
    """A job, or its reply, which bears the same number.

    number: of the job.
    code: what is asked for (`PREDICT`, `INFER`, `EXPLAIN`); of a reply the HTTP status.
    many: classes to name, 0 for the default; of a reply how many images were answered at once.
    head: length of the JSON part before binary tensors, `NONE` where there is none.
    text: of a job `request id \\n content type`; of a reply the `marks` of each image.
    body: as HTTP carries it.
    """

    number: int
    code: int
    many: int = 0
    head: int = NONE
    text: bytes = b""
    body: bytes = b""

    def packed(self) -> bytes:
        """Return the bytes to send."""
        head = _HEAD.pack(self.number, self.code, self.many, self.head, len(self.text), len(self.body))
        return b"".join((head, self.text, self.body))


class Splitter:
    """Puts frames together again from whatever parts they arrive in."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now."""
        held = self._held
        held += data
        frames, start = [], 0
        while len(held) - start >= _HEAD.size:
            number, code, many, head, texts, bodies = _HEAD.unpack_from(held, start)
            text = start + _HEAD.size
            body, end = text + texts, text + texts + bodies
            if end > len(held):
                break
            frames.append(Frame(number, code, many, head, bytes(held[text:body]), bytes(held[body:end])))
            start = end
        del held[:start]
        return frames


def packed_marks(rows: Sequence[Sequence[float]]) -> bytes:
    """Return the marks of images, `Marking.rows`, as a reply's `text` has them, in single precision."""
    return b"".join(_marks(len(row)).pack(*row) for row in rows)


def marks_of(reply: Frame, width: int) -> list[tuple[float, ...]]:
    """Return the rows that `packed_marks` was given, `width` numbers each."""
    return list(_marks(width).iter_unpack(reply.text))


@cache
def _marks(width: int) -> struct.Struct:
    return struct.Struct(f"<{width}f")
