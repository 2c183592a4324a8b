"""Size, channels and orientation of an image file, read before anything is decoded, in plain Python.

Also whether the file is whole: OpenCV hands back a picture for half a JPEG and says nothing.
"""

import re
import struct
import zlib
from dataclasses import dataclass, replace

from imgrec.errors import InputError

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
# In entropy-coded data FF is followed by 00 (stuffed), D0..D7 (restart) or FF (fill); else a marker.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    channels: as stored: 1 grey, 2 grey and alpha, 3 colour (palettes too), 4 with alpha or CMYK.
    orientation: EXIF's 1…8, 1 where there is none.
    """

    format: str
    height: int
    width: int
    channels: int
    orientation: int = 1

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width once the orientation is applied."""
        size = (self.height, self.width)
        return size if self.orientation < 5 else size[::-1]


def read_header(data: bytes, name: str = "image") -> Header:
    """Return the header of a JPEG, PNG or BMP file, told by content, whatever its name ends in.

    Raises:
        InputError: no such file, or one that breaks off before its end or is damaged.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(b"BM"):
            return _bmp(data)
    except (struct.error, IndexError):
        raise InputError(f"{name}: the file breaks off within its header; replace it") from None
    except _DamagedError as damage:
        raise InputError(f"{name}: {damage}; replace the file or take it out") from None
    raise InputError(f"{name}: {_describe(data)}; expected a JPEG, PNG or BMP file")


class _DamagedError(Exception):
    """The file is of a known format and not whole."""


def _describe(data: bytes) -> str:
    known = {b"GIF8": "a GIF", b"II*\0": "a TIFF", b"MM\0*": "a TIFF", b"<svg": "an SVG", b"%PDF": "a PDF"}
    if not data:
        return "empty file"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP file"
    if data[4:8] == b"ftyp":
        return "a HEIF, AVIF or video file"
    return known[data[:4]] + " file" if data[:4] in known else "not an image file"


def _jpeg(data: bytes) -> Header:
    """Walk the segments to the end-of-image marker; thumbnails inside segments are stepped over."""
    header, orientation, scans, at = None, 1, 0, 2
    while at < len(data):
        if data[at] != 0xFF:
            raise _DamagedError("damaged JPEG: a marker is missing")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == _EOI:
            break
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            if marker in _JPEG_FRAMES:
                height, width, channels = struct.unpack_from(">HHB", data, at + 5)
                header = Header("jpeg", height, width, channels)
            elif marker == _APP1 and data[at + 4 : at + 10] == b"Exif\0\0":
                orientation = _exif_orientation(data[at + 10 : at + 2 + length])
            at += 2 + length
            if marker == _SOS:
                scans += 1
                found = _NEXT_MARKER.search(data, at)
                at = found.start() if found else len(data)
    if at >= len(data):
        raise _DamagedError("truncated JPEG: its end-of-image marker is missing")
    if header is None or not scans or not header.pixels:
        raise _DamagedError("JPEG without a picture in it")
    return replace(header, orientation=orientation)


def _png(data: bytes) -> Header:
    """Walk the chunks to IEND and compare each one's checksum."""
    header, orientation, pixels_seen, at = None, 1, False, len(_PNG)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise _DamagedError(f"damaged PNG: the checksum of its {kind.decode('latin-1')} chunk is wrong")
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack_from(">IIBB", body)
            header = Header("png", height, width, _PNG_CHANNELS.get(colour, 3))
        elif kind == b"tRNS" and header is not None:
            header = replace(header, channels={1: 2, 3: 4}.get(header.channels, header.channels))
        elif kind == b"eXIf":
            orientation = _exif_orientation(body)
        elif kind == b"IDAT":
            pixels_seen = True
        elif kind == b"IEND":
            break
        at += 12 + length
    else:
        raise _DamagedError("truncated PNG: its IEND chunk is missing")
    if header is None or not pixels_seen or not header.pixels:
        raise _DamagedError("PNG without a picture in it")
    return replace(header, orientation=orientation)


def _bmp(data: bytes) -> Header:
    offset, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)
    if width <= 0 or height == 0:
        raise _DamagedError("BMP without a picture in it")
    row_bytes = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and len(data) < offset + row_bytes * height:
        raise _DamagedError("truncated BMP")
    return Header("bmp", height, width, 3)


def _exif_orientation(tiff: bytes) -> int:
    """Return tag 0x0112 of the first directory; 1 when absent or out of 1…8, as viewers do."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for at in range(start + 2, min(start + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == 0x0112:
            return value if kind == 3 and 1 <= value <= 8 else 1
    return 1
