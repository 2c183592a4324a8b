"""TIFF files put together byte by byte, for forms that no encoder at hand writes."""

import struct

import numpy as np


def tiff_of(pixels: np.ndarray, colours: int, extra: int | None = None, order: str = "<") -> bytes:
    """A TIFF of one strip, uncompressed.

    Args:
        pixels: uint8 or uint16 `[h, w]` or `[h, w, samples]`.
        colours: photometric interpretation.
        extra: what a last sample means, None to say nothing.
        order: byte order.
    """
    height, width, samples = (*pixels.shape, 1)[:3]
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    numbers = {256: width, 257: height, 259: 1, 262: colours, 277: samples, 278: height, 279: len(body)}
    rows = {tag: struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in numbers.items()}
    if extra is not None:
        rows[338] = struct.pack(order + "HHIHH", 338, 3, 1, extra, 0)
    end = 8 + 2 + 12 * (len(rows) + 2) + 4
    bits = struct.pack(order + "4H", *[pixels.dtype.itemsize * 8] * 4)
    at = bits[:4] if samples <= 2 else struct.pack(order + "I", end)
    rows[258] = struct.pack(order + "HHI", 258, 3, samples) + at
    rows[273] = struct.pack(order + "HHII", 273, 4, 1, end + len(bits))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(rows))
    return head + b"".join(rows[tag] for tag in sorted(rows)) + bytes(4) + bits + body


def with_value(data: bytes, tag: int, value: int, renamed: int | None = None) -> bytes:
    """A little-endian TIFF with another value of a tag that has one, under another number if `renamed`."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, at)[0] == tag:
            entry = struct.pack("<HHII", renamed or tag, 4, 1, value)
            return data[:at] + entry + data[at + 12 :]
    raise ValueError(tag)
