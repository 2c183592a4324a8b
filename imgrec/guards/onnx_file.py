"""Whether an ONNX file holds all of its numbers itself, read without a library that would follow its paths.

A tensor of an ONNX file may name another file, anywhere, that its numbers lie in. A file that ships is one:
`FIELDS` leads through the parts of the message (onnx.proto, field numbers) in which tensors may be.
"""

from collections.abc import Iterator
from pathlib import Path

from imgrec.errors import InputError

FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Message → number of a field → the message that it holds."""
EXTERNAL, LOCATION = 13, 14
"""Fields of a tensor: where its numbers are, and whether that is elsewhere (1)."""
DEEPEST = 64


def check(path: Path) -> None:
    """Make sure that an ONNX file refers to no other.

    Raises:
        InputError: it does, or is damaged.
    """
    try:
        _walk(memoryview(path.read_bytes()), "model", 0, path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except IndexError:
        raise InputError(f"{path}: no whole ONNX file; export it again") from None


def _walk(message: memoryview, kind: str, depth: int, path: Path) -> None:
    if depth > DEEPEST:
        raise InputError(f"{path}: graphs within graphs, more than {DEEPEST}; no model of ours has any")
    for number, value in _fields(message):
        if kind == "tensor" and (number == EXTERNAL or (number == LOCATION and value == 1)):
            raise InputError(f"{path}: its weights are in another file; expected all in one: export it again")
        below = FIELDS[kind].get(number)
        if below is not None and isinstance(value, memoryview):
            _walk(value, below, depth + 1, path)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Give number and value of each field of a protobuf message. Raises IndexError where it breaks off."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise IndexError  # groups, which ONNX has none of
        if size > len(message) - at:
            raise IndexError
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise IndexError
