"""Bytes of an image file → uint8 pixels, the same ones everywhere: OpenCV, and integer arithmetic.

JPEG is decoded with libjpeg's accurate integer IDCT and smooth chroma upsampling (OpenCV's only
way), EXIF orientation is applied, transparency is laid on white (but for a grey PNG's one transparent
shade, a grey TIFF's second channel and a BMP's fourth byte, which are ignored), 16 bits are scaled to 8
by the nearest of v · 255 / (2^bits - 1), where fewer than 16 of them may be in use, palettes and CMYK become
RGB. Of several images in a file (an
animated GIF, PNG or WebP, a TIFF of pages) the first is read; what a GIF's first image leaves free of its
screen has the screen's colour.
"""

from typing import Literal

import cv2
import numpy as np

from imgrec.data.formats import containers, tiff
from imgrec.data.formats.fields import Header
from imgrec.data.header import TITLES, ImageFault, read_header
from imgrec.data.said import unsaid

# What OpenCV would print of a broken file is said by the fault; the audit's workers listen to it again.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# The decoder writes the order wanted, which spares a pass over the image and its memory.
_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


Bits = Literal[8, 10, 12, 14, 16]
DEPTHS: tuple[Bits, ...] = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use of the 16 that a file has for a value."""


def depth_of(highest: int) -> Bits:
    """Return the least of `DEPTHS` that holds the highest value of 16-bit images; 16 of 0, where none are."""
    return next(bits for bits in DEPTHS if highest < 1 << bits) if highest else 16


def decode(data: bytes, max_pixels: int, name: str = "image", bits: int | None = 16) -> np.ndarray:
    """Return the image upright, uint8 `[h, w, 1]` (stored as grey) or `[h, w, 3]` (RGB).

    Of an image of 16 bits `bits` are taken to be in use, by None as many as it uses itself; a value beyond
    them is white.

    Raises:
        ImageFault: no image file of a format that is read (`header.SUFFIXES`), a damaged one, or more
            than `max_pixels` pixels; the last is found from the header, before any pixel is decoded.
    """
    header = checked_header(data, max_pixels, name)
    with unsaid():
        stored = decode_checked(data, header, name)
    return to_8_bits(stored, header, depth_of(highest_of(stored)) if bits is None else bits)


def checked_header(data: bytes, max_pixels: int, name: str = "image") -> Header:
    """Return the file's header.

    Raises:
        ImageFault: as `decode`, but for damage that only shows in decoding.
    """
    header = read_header(data, name)
    if header.pixels > max_pixels:
        detail = f"{header.width} × {header.height} pixels, more than the {max_pixels:,} allowed; "
        raise ImageFault("too_large", name, detail + "scale it down or raise --max-pixels")
    return header


def decode_checked(data: bytes, header: Header, name: str = "image") -> np.ndarray:
    """Decode a file whose header was read and checked, for `to_8_bits`; values of 16 bits stay: uint16."""
    if header.format == "tiff" and header.orientation != 1:
        data = tiff.unturned(data)
    if "animated" in header.traits and header.format in ("gif", "png"):
        data = containers.first_image(header.format, data)
    flags = _RGB if _is_rgb(header) else cv2.IMREAD_UNCHANGED
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageFault("damaged", name, f"cannot be decoded ({error.err}); replace the file") from None
    if (
        pixels is None
        or pixels.shape[:2] != (header.height, header.width)
        or pixels.dtype not in (np.uint8, np.uint16)
    ):
        detail = f"a {TITLES[header.format]} file that cannot be decoded; replace it"
        raise ImageFault("damaged", name, detail)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if header.alpha == "unused":
        pixels = np.ascontiguousarray(pixels[..., :3])
    return pixels


def highest_of(stored: np.ndarray) -> int:
    """Return the highest value of a 16-bit image as `decode_checked` gives it, transparency apart; else 0."""
    return int(stored[..., :3].max()) if stored.dtype == np.uint16 else 0


def to_8_bits(pixels: np.ndarray, header: Header, bits: int = 16) -> np.ndarray:
    """Bring what `decode_checked` gives to what `decode` does."""
    if pixels.dtype == np.uint16:
        white = (1 << bits) - 1
        pixels = ((np.minimum(pixels, white).astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    if header.white_is_zero:
        pixels = 255 - pixels
    rgb = _is_rgb(header)
    return _upright(pixels if rgb else _opaque(pixels, header.alpha == "multiplied"), header.orientation)


def _is_rgb(header: Header) -> bool:
    """Whether the decoder is asked for the order wanted."""
    return header.format == "jpeg" and header.channels == 3


def _opaque(pixels: np.ndarray, multiplied: bool) -> np.ndarray:
    """OpenCV's channels, BGR or BGRA, to RGB on white; grey stays.

    With `multiplied` the colours are multiplied by alpha already.
    """
    if pixels.shape[-1] == 1:
        return pixels
    if pixels.shape[-1] == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    colour, alpha = pixels[..., -2::-1].astype(np.uint32), pixels[..., -1:].astype(np.uint32)
    if multiplied:
        return np.minimum(colour + 255 - alpha, 255).astype(np.uint8)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo EXIF's orientation: 2…4 mirror, 5…8 swap the axes as well."""
    if orientation == 1:
        return pixels
    # OpenCV turns images many times as fast as NumPy copies turned views; it drops an axis of one.
    channels = pixels.shape[-1]
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    # After the swap: 5 as it is, 6 mirrored left to right, 7 both, 8 upside down.
    axes = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
    if orientation in axes:
        pixels = cv2.flip(pixels, axes[orientation])
    return pixels.reshape(*pixels.shape[:2], channels)


def to_colour(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Bring uint8 `[h, w, 1|3]` to one channel (`grey`, ITU-R 601 luma) or three (`rgb`, repeated)."""
    channels = pixels.shape[-1]
    if channels == (1 if colour == "grey" else 3):
        return pixels
    if colour == "rgb":
        return np.repeat(pixels, 3, axis=-1)
    # 0.299, 0.587, 0.114 in units of 2⁻¹⁶.
    red, green, blue = (pixels[..., i].astype(np.uint32) for i in range(3))
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return luma.astype(np.uint8)[..., np.newaxis]
