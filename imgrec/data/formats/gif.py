"""GIF: the blocks up to the trailer, each stepped over."""

import struct

from imgrec.data.formats.fields import DamagedError, Header

START = b"GIF8"

_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B
_CONTROL = 0xF9


def read(data: bytes) -> Header:
    """Walk the blocks; the size is the screen's, on which the first image lies."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _table(flags)
    frames, clear = 0, False
    while data[at] != _END:
        if data[at] == _IMAGE:
            left, top, across, down, own = struct.unpack_from("<HHHHB", data, at + 1)
            if not frames and not (across and down and left + across <= width and top + down <= height):
                raise DamagedError("damaged GIF: its first image is empty or lies outside its screen")
            frames += 1
            at = _after(data, at + 11 + _table(own))
        elif data[at] == _EXTENSION:
            if not frames and data[at + 1] == _CONTROL:
                clear = bool(data[at + 3] & 1)
            at = _after(data, at + 2)
        else:
            raise DamagedError("damaged GIF: an unknown block")
    if not frames:
        raise DamagedError("GIF without an image in it")
    found = {"alpha": clear, "animated": frames > 1}
    return Header(
        "gif", height, width, 4 if clear else 3, traits=tuple(n for n, is_so in found.items() if is_so)
    )


def first_image(data: bytes) -> bytes:
    """Return a GIF of the first image alone.

    OpenCV takes whether there is transparency from later images of an animation, too.
    """
    at = 13 + _table(data[10])
    while data[at] != _IMAGE:
        at = _after(data, at + 2)
    return data[: _after(data, at + 11 + _table(data[at + 9]))] + bytes([_END])


def _after(data: bytes, at: int) -> int:
    """Return where the blocks of bytes that begin at `at`, each after its length, have ended."""
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _table(flags: int) -> int:
    """Bytes of the colour table that a descriptor's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
