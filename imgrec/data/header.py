"""What an image file says of itself, read before anything is decoded, in plain Python.

Also whether the file is whole: OpenCV hands back a picture for half a JPEG and says nothing.
"""

import re
import struct
import zlib
from dataclasses import dataclass, replace

from imgrec.data.foreign import describe
from imgrec.errors import InputError

# The formats that are read, and the endings of their names; the one list of them.
SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "bmp": (".bmp",),
}
_NAMES = [name.upper() for name in SUFFIXES]
EXPECTED = f"expected a {', '.join(_NAMES[:-1])} or {_NAMES[-1]} file"

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
# In entropy-coded data FF is followed by 00 (stuffed), D0..D7 (restart) or FF (fill); else a marker.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class ImageFault(InputError):
    """An image file that cannot be used.

    code: what is wrong, a key of `imgrec.data.audit.findings.CODES`; detail: the same in words.
    """

    def __init__(self, code: str, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    channels: as stored: 1 grey, 2 grey and alpha, 3 colour (palettes too), 4 with alpha or CMYK.
    orientation: EXIF's 1…8, 1 where there is none.
    traits: what the decoder does not hand on as it is: animated, cmyk, 16_bit, alpha, palette.
    """

    format: str
    height: int
    width: int
    channels: int
    orientation: int = 1
    traits: tuple[str, ...] = ()

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
    """Return the header of a file of a format in `SUFFIXES`, told by content, whatever its name ends in.

    Raises:
        ImageFault: no such file, or one that breaks off before its end or is damaged.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(b"BM") and _is_bmp(data):
            return _bmp(data)
    except (struct.error, IndexError):
        detail = "the file breaks off within its header; replace it"
        raise ImageFault("truncated", name, detail) from None
    except _DamagedError as damage:
        code = "truncated" if "truncated" in str(damage) else "damaged"
        raise ImageFault(code, name, f"{damage}; replace the file or take it out") from None
    raise _foreign(data, name)


class _DamagedError(Exception):
    """The file is of a known format and not whole."""


def sniff(data: bytes) -> str | None:
    """Return the format that a file's first bytes announce: one of `SUFFIXES`, or in words; else None."""
    for name, magic in (("jpeg", b"\xff\xd8\xff"), ("png", _PNG)):
        if data.startswith(magic):
            return name
    if data.startswith(b"BM") and len(data) >= 18 and _is_bmp(data):
        return "bmp"
    return describe(data)


def _foreign(data: bytes, name: str) -> ImageFault:
    """The fault of a file that is of none of our formats."""
    if not data:
        return ImageFault("empty", name, "empty file; replace it or take it out")
    words = describe(data)
    if words is None:
        return ImageFault("not_an_image", name, f"not an image file; {EXPECTED}")
    return ImageFault("unsupported_format", name, f"{words} file; {EXPECTED}")


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
                header = Header("jpeg", height, width, channels, traits=("cmyk",) if channels == 4 else ())
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
    traits: set[str] = set()
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise _DamagedError(f"damaged PNG: the checksum of its {kind.decode('latin-1')} chunk is wrong")
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack_from(">IIBB", body)
            header = Header("png", height, width, _PNG_CHANNELS.get(colour, 3))
            traits |= {name for name, found in _png_traits(bits, colour).items() if found}
        elif kind == b"tRNS" and header is not None:
            header = replace(header, channels={1: 2, 3: 4}.get(header.channels, header.channels))
            traits.add("alpha")
        elif kind == b"acTL" and struct.unpack_from(">I", body)[0] > 1:
            traits.add("animated")
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
    return replace(header, orientation=orientation, traits=tuple(sorted(traits)))


def _png_traits(bits: int, colour: int) -> dict[str, bool]:
    return {"16_bit": bits == 16, "palette": colour == 3, "alpha": colour in (4, 6)}


def _is_bmp(data: bytes) -> bool:
    """Whether what follows the letters BM is a bitmap's header and no text."""
    return len(data) < 18 or struct.unpack_from("<I", data, 14)[0] in (12, 16, 40, 52, 56, 64, 108, 124)


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
    return Header("bmp", height, width, 3, traits=("palette",) if bits <= 8 else ())


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
