"""PNG: the chunks up to IEND, each with its checksum."""

import struct
import zlib
from dataclasses import replace

from imgrec.data.formats.fields import DamagedError, Header
from imgrec.data.formats.tiff import exif_orientation

START = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def read(data: bytes) -> Header:
    """Walk the chunks to IEND and compare each one's checksum."""
    header, orientation, pixels_seen, at = None, 1, False, len(START)
    traits: set[str] = set()
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise DamagedError(f"damaged PNG: the checksum of its {kind.decode('latin-1')} chunk is wrong")
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack_from(">IIBB", body)
            header = Header("png", height, width, _CHANNELS.get(colour, 3))
            traits |= {name for name, found in _traits(bits, colour).items() if found}
        elif kind == b"tRNS" and header is not None:
            header = replace(header, channels={1: 2, 3: 4}.get(header.channels, header.channels))
            traits.add("alpha")
        elif kind == b"acTL" and struct.unpack_from(">I", body)[0] > 1:
            traits.add("animated")
        elif kind == b"eXIf":
            orientation = exif_orientation(body)
        elif kind == b"IDAT":
            pixels_seen = True
        elif kind == b"IEND":
            break
        at += 12 + length
    else:
        raise DamagedError("truncated PNG: its IEND chunk is missing")
    if header is None or not pixels_seen or not header.pixels:
        raise DamagedError("PNG without an image in it")
    return replace(header, orientation=orientation, traits=tuple(sorted(traits)))


def _traits(bits: int, colour: int) -> dict[str, bool]:
    return {"16_bit": bits == 16, "palette": colour == 3, "alpha": colour in (4, 6)}


def first_image(data: bytes) -> bytes:
    """Return the PNG less what makes it move: the image that viewers without animation show.

    OpenCV composes it with the first one of the animation, which may be another.
    """
    kept, at = [START], len(START)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] not in (b"acTL", b"fcTL", b"fdAT"):
            kept.append(data[at : at + 12 + length])
        at += 12 + length
        if kept[-1][4:8] == b"IEND":
            break
    return b"".join(kept)
