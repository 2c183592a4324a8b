"""BMP: the two headers; uncompressed pixels must all be there."""

import struct

from imgrec.data.formats.fields import DamagedError, Header, UnreadError

START = b"BM"


def is_bitmap(data: bytes) -> bool:
    """Whether what follows the letters BM is a bitmap's header and no text."""
    return len(data) < 18 or struct.unpack_from("<I", data, 14)[0] in (12, 16, 40, 52, 56, 64, 108, 124)


def read(data: bytes) -> Header:
    """Read both headers."""
    offset, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)
    if width <= 0 or height == 0:
        raise DamagedError("BMP without an image in it")
    if size == 12 and bits <= 8:
        raise UnreadError("a BMP of OS/2 with a palette")  # OpenCV would give shades of grey
    row_bytes = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and len(data) < offset + row_bytes * height:
        raise DamagedError("truncated BMP")
    # The fourth byte of a 32-bit BMP is mostly unused and zero: no transparency.
    return Header("bmp", height, width, 3, traits=("palette",) if bits <= 8 else (), alpha="unused")
