"""JPEG: the segments up to the end-of-image marker."""

import re
import struct
from dataclasses import replace

from imgrec.data.formats.fields import DamagedError, Header
from imgrec.data.formats.tiff import exif_orientation

START = b"\xff\xd8"

_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
# In entropy-coded data FF is followed by 00 (stuffed), D0..D7 (restart) or FF (fill); else a marker.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def read(data: bytes) -> Header:
    """Walk the segments to the end-of-image marker; thumbnails inside segments are stepped over."""
    header, orientation, scans, at = None, 1, 0, 2
    while at < len(data):
        if data[at] != 0xFF:
            raise DamagedError("damaged JPEG: a marker is missing")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == _EOI:
            break
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            if marker in _FRAMES:
                height, width, channels = struct.unpack_from(">HHB", data, at + 5)
                header = Header("jpeg", height, width, channels, traits=("cmyk",) if channels == 4 else ())
            elif marker == _APP1 and data[at + 4 : at + 10] == b"Exif\0\0":
                orientation = exif_orientation(data[at + 10 : at + 2 + length])
            at += 2 + length
            if marker == _SOS:
                scans += 1
                found = _NEXT_MARKER.search(data, at)
                at = found.start() if found else len(data)
    if at >= len(data):
        raise DamagedError("truncated JPEG: its end-of-image marker is missing")
    if header is None or not scans or not header.pixels:
        raise DamagedError("JPEG without an image in it")
    return header if orientation == 1 else replace(header, orientation=orientation)
