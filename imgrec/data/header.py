"""What an image file says of itself, read before anything is decoded.

Also whether the file is whole: OpenCV hands back an image for half a JPEG and says nothing.
"""

import struct

from PIL.Image import DecompressionBombError

from imgrec.data.formats import containers, jpeg, tiff
from imgrec.data.formats.fields import DamagedError, Header, UnreadError
from imgrec.errors import InputError

# The formats that are read, and the endings of their names; the one list of them.
SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "bmp": (".bmp",),
    "gif": (".gif",),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
}
SUPPORTED = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
# Images that would be missed if they were passed over like a text file.
_OTHER_IMAGES = """
.heic .heif .avif .jxl .jp2 .j2k .psd .svg .ico .pgm .ppm .pbm .tga .exr .hdr .raw .dng .cr2 .nef .arw .dcm
.npy
"""
UNSUPPORTED = frozenset(_OTHER_IMAGES.split())
TITLES = {name: {"webp": "WebP"}.get(name, name.upper()) for name in SUFFIXES}
"""What the formats are called."""
_NAMES = list(TITLES.values())
EXPECTED = f"expected a {', '.join(_NAMES[:-1])} or {_NAMES[-1]} file"

# Formats that are recognised and not read, so that a message can name them.
_BY_START = {
    b"II+\0": "a BigTIFF",
    b"MM\0+": "a BigTIFF",
    b"<svg": "an SVG",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop",
    b"\0\0\1\0": "an icon",
    b"\x76\x2f\x31\1": "an OpenEXR",
    b"#?RADIANCE": "a Radiance HDR",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x4f\xff\x51": "a JPEG 2000",
    b"DDS ": "a DDS",
    b"qoif": "a QOI",
    b"SIMPLE  =": "a FITS",
}
_HEIF = {
    b"avif": "an AVIF",
    b"avis": "an animated AVIF",
    b"heic": "a HEIF",
    b"heix": "a HEIF",
    b"mif1": "a HEIF",
}
# The bytes that tell a bitmap's header from other text after BM: its length.
_BITMAPS = {bytes([size, 0, 0, 0]) for size in (12, 40, 52, 56, 64, 108, 124)}


class ImageFault(InputError):
    """An image file that cannot be used.

    code: what is wrong, a key of `imgrec.data.audit.findings.CODES`; detail: the same in words.
    """

    def __init__(self, code: str, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.code, self.detail = code, detail


def read_header(data: bytes, name: str = "image") -> Header:
    """Return the header of a file of a format in `SUFFIXES`, told by content, whatever its name ends in.

    Raises:
        ImageFault: no such file, one that breaks off before its end or is damaged, or one in a form of
            its format that is not read.
    """
    # Two bytes are enough of a JPEG to call it one that breaks off.
    kind = "jpeg" if data.startswith(jpeg.START) else _kind(data)
    if kind is None:
        raise _foreign(data, name)
    try:
        if kind == "jpeg":
            return jpeg.read(data)
        return tiff.read(data) if kind == "tiff" else containers.read(kind, data)
    except (struct.error, IndexError):
        detail = "the file breaks off within its header; replace it"
        raise ImageFault("truncated", name, detail) from None
    except DamagedError as damage:
        code = "truncated" if "truncated" in str(damage) else "damaged"
        raise ImageFault(code, name, f"{damage}; replace the file or take it out") from None
    except DecompressionBombError as bomb:
        # Pillow's own cap, for WebP; of a GIF it is held against an image that lies outside its screen.
        code, mend = ("too_large", "scale it down") if kind == "webp" else ("damaged", "replace it")
        raise ImageFault(code, name, f"{bomb}; {mend}") from None
    except UnreadError as form:
        raise ImageFault("unsupported_format", name, f"{form} is not read; convert it to PNG") from None


def sniff(data: bytes) -> str | None:
    """Return the format that a file's first bytes announce: one of `SUFFIXES`, or in words; else None."""
    if data.startswith(b"BM") and len(data) < 18:
        return None
    return _kind(data) or _described(data)


def _kind(data: bytes) -> str | None:
    """The format of `SUFFIXES` that the first bytes announce."""
    announced = {
        "jpeg": data.startswith(jpeg.START + b"\xff"),
        "png": data.startswith(containers.PNG_START),
        "bmp": data.startswith(b"BM") and (len(data) < 18 or data[14:18] in _BITMAPS),
        "gif": data.startswith(b"GIF8"),
        "webp": data.startswith(b"RIFF") and data[8:12] == b"WEBP",
        "tiff": data.startswith(tiff.STARTS),
    }
    return next((name for name, is_so in announced.items() if is_so), None)


def _foreign(data: bytes, name: str) -> ImageFault:
    """The fault of a file that is of none of our formats."""
    if not data:
        return ImageFault("empty", name, "empty file; replace it or take it out")
    words = _described(data)
    if words is None:
        return ImageFault("not_an_image", name, f"not an image file; {EXPECTED}")
    return ImageFault("unsupported_format", name, f"{words} file; {EXPECTED}")


def _described(data: bytes) -> str | None:
    """Return what kind of image file the bytes are, such as `an animated AVIF`, or None."""
    if data[4:8] == b"ftyp":
        return _HEIF.get(data[8:12], "a HEIF, AVIF or video")
    if data[128:132] == b"DICM":
        return "a DICOM"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return "a PNM"
    return next((words for start, words in _BY_START.items() if data.startswith(start)), None)
