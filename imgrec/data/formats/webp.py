"""WebP: the chunks of its RIFF container, and the size in the first one."""

import struct
from collections.abc import Iterator

from imgrec.data.formats.fields import DamagedError, Header
from imgrec.data.formats.tiff import exif_orientation

_ALPHA, _MOVING = 0x10, 0x02


def is_webp(data: bytes) -> bool:
    """Whether the bytes begin as a WebP file does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read(data: bytes) -> Header:
    """Step from chunk to chunk."""
    if len(data) < 8 + struct.unpack_from("<I", data, 4)[0]:
        raise DamagedError("truncated WebP")
    size, alpha, moving, frames, images, orientation = None, False, False, 0, 0, 1
    for kind, body in _chunks(data):
        if kind == b"VP8X":
            alpha, moving = bool(body[0] & _ALPHA), bool(body[0] & _MOVING)
            size = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
        elif kind in (b"VP8 ", b"VP8L"):
            images += 1
            own, clear = _lossy(body) if kind == b"VP8 " else _lossless(body)
            size, alpha = size or own, alpha or clear
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            orientation = exif_orientation(body.removeprefix(b"Exif\0\0"))
    if size is None or not size[0] * size[1] or not images + frames:
        raise DamagedError("WebP without an image in it")
    found = {"alpha": alpha, "animated": moving and frames > 1}
    traits = tuple(name for name, is_so in found.items() if is_so)
    return Header("webp", size[1], size[0], 4 if alpha else 3, orientation, traits)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's name and body."""
    at, end = 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            raise DamagedError("truncated WebP: a chunk breaks off")
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _lossy(body: bytes) -> tuple[tuple[int, int], bool]:
    """Width and height, in the 14 lower bits each, after the start code of a key frame."""
    if body[3:6] != b"\x9d\x01\x2a":
        raise DamagedError("damaged WebP: no key frame")
    width, height = struct.unpack_from("<HH", body, 6)
    return (width & 0x3FFF, height & 0x3FFF), False


def _lossless(body: bytes) -> tuple[tuple[int, int], bool]:
    """Width − 1 and height − 1 in 14 bits each, then whether there is transparency."""
    if body[:1] != b"\x2f":
        raise DamagedError("damaged WebP: no lossless image")
    (packed,) = struct.unpack_from("<I", body, 1)
    return ((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1), bool(packed >> 28 & 1)
