"""Image files that are broken or unusual, made by real encoders or patched bytes, each with what ails it."""

import io
import re
import struct
import zipfile
import zlib

import cv2
import numpy as np
from pictures import encode, picture, with_orientation
from PIL import Image
from tiffs import with_value

PIXELS = picture(61, 83)
GREY = PIXELS[..., 0]
JPEG = encode(PIXELS, "JPEG", quality=90)
LARGE = encode(picture(240, 320), "JPEG", quality=90)
PNG = encode(PIXELS, "PNG")
BMP = encode(PIXELS, "BMP")
GIF = encode(PIXELS, "GIF")
TIFF = encode(PIXELS, "TIFF")
WEBP = encode(PIXELS, "WEBP")
WITH_RESTARTS = encode(PIXELS, "JPEG", quality=90, restart_marker_blocks=4)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(body: bytes, width: int = 83, height: int = 61, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG of right checksums around whatever compressed pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return PNG[:8] + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def rows(count: int, filtering: int = 0) -> bytes:
    return zlib.compress(b"".join(bytes([filtering]) + row.tobytes() for row in PIXELS[:count]))


def without(data: bytes, marker: int) -> bytes:
    """A JPEG less its segments of one kind."""
    found = re.compile(b"\xff" + bytes([marker]), re.DOTALL)
    while match := found.search(data[: data.index(b"\xff\xda")]):
        at = match.start()
        data = data[:at] + data[at + 2 + struct.unpack_from(">H", data, at + 2)[0] :]
    return data


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def frame(data: bytes) -> int:
    """Where a JPEG's frame header (SOF0) begins."""
    return data.index(b"\xff\xc0")


def scan(data: bytes) -> int:
    """Where a JPEG's entropy-coded data begin."""
    at = data.index(b"\xff\xda")
    return at + 2 + struct.unpack_from(">H", data, at + 2)[0]


def moving(kind: str) -> bytes:
    frames = [Image.fromarray(picture(phase=n)) for n in range(3)]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=80)


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a.txt", "x")
    return stream.getvalue()


def by_opencv(pixels: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _jpegs() -> dict[str, tuple[str, bytes, str]]:
    middle = (scan(JPEG) + len(JPEG)) // 2
    second = re.search(rb"\xff\xd1", WITH_RESTARTS).start()  # type: ignore[union-attr]
    progressive = encode(PIXELS, "JPEG", progressive=True)
    return {
        "cut in half": (".jpg", JPEG[: len(JPEG) // 2], "truncated"),
        "without its last two bytes": (".jpg", JPEG[:-2], "truncated"),
        "cut in its header": (".jpg", JPEG[:30], "truncated"),
        "two bytes": (".jpg", JPEG[:2], "truncated"),
        "progressive, cut": (".jpeg", progressive[: len(progressive) * 2 // 3], "truncated"),
        "cut and closed again": (".jpg", JPEG[:middle] + b"\xff\xd9", "damaged"),
        "zeros in the middle": (".jpg", patched(LARGE, len(LARGE) // 2, bytes(4096)), "damaged|stray_data"),
        "noise in the middle": (".jpg", patched(JPEG, middle, bytes(range(1, 200))), "damaged|stray_data"),
        "a restart marker renamed": (
            ".jpg",
            patched(WITH_RESTARTS, second, b"\xff\xd5"),
            "damaged|stray_data",
        ),
        "impossible Huffman tables": (
            ".jpg",
            patched(JPEG, JPEG.index(b"\xff\xc4") + 5, b"\x07" * 16),
            "damaged",
        ),
        "no quantisation tables": (".jpg", without(JPEG, 0xDB), "damaged"),
        "a segment overwritten": (".jpg", patched(JPEG, 20, bytes(40)), "damaged"),
        "no frame": (".jpg", without(JPEG, 0xC0), "damaged"),
        "no scan": (".jpg", JPEG[: JPEG.index(b"\xff\xda")] + b"\xff\xd9", "damaged"),
        "no height": (".jpg", patched(JPEG, frame(JPEG) + 5, b"\0\0"), "damaged"),
        "taller than its data": (".jpg", patched(JPEG, frame(JPEG) + 5, b"\x01\x2c"), "damaged"),
        "seven components": (".jpg", patched(JPEG, frame(JPEG) + 9, b"\x07"), "damaged"),
        "lossless process": (".jpg", patched(JPEG, frame(JPEG), b"\xff\xc3"), "damaged"),
        "bytes before its end": (".jpg", JPEG[:-2] + bytes(range(100)) + JPEG[-2:], "stray_data"),
        "side of 65,500": (".jpg", patched(JPEG, frame(JPEG) + 5, b"\xff\xdc\xff\xdc"), "too_large"),
    }


def _pngs() -> dict[str, tuple[str, bytes, str]]:
    at = PNG.index(b"IDAT")
    return {
        "cut in its pixels": (".png", PNG[: at + 500], "truncated"),
        "without its end": (".png", PNG[:-12], "truncated"),
        "signature alone": (".png", PNG[:8], "truncated"),
        "cut in its header chunk": (".png", PNG[:20], "truncated"),
        "one bit of its pixels": (".png", patched(PNG, at + 90, bytes([PNG[at + 90] ^ 4])), "damaged"),
        "checksum of its header": (".png", patched(PNG, 29, b"\0\0\0\0"), "damaged"),
        "no pixels": (".png", PNG[: at - 4] + chunk(b"IEND", b""), "damaged"),
        "rows are missing": (".png", png(rows(30)), "damaged"),
        "pixels that do not inflate": (".png", png(b"\x78\x9c" + bytes(range(200))), "damaged"),
        "an unknown row filter": (".png", png(rows(61, filtering=9)), "damaged"),
        "colour type 5": (".png", png(rows(61), colour=5), "damaged"),
        "no width": (".png", png(rows(61), width=0), "damaged"),
        "side of 60,000": (".png", png(rows(61), 60_000, 60_000), "too_large"),
        "an animation": (".png", moving("PNG"), "animated"),
        "16-bit grey": (".png", by_opencv(GREY.astype(np.uint16) * 257, ".png"), "16_bit"),
        "16-bit colour": (".png", by_opencv(PIXELS.astype(np.uint16) * 257, ".png"), "16_bit"),
        "colour and alpha": (".png", encode(np.dstack([PIXELS, GREY]), "PNG"), "alpha"),
        "grey and alpha": (".png", encode(Image.fromarray(GREY).convert("LA"), "PNG"), "alpha"),
        "palette": (".png", encode(Image.fromarray(PIXELS).quantize(16), "PNG"), "palette"),
        "palette and one see-through": (
            ".png", encode(Image.fromarray(PIXELS).quantize(16), "PNG", transparency=0), "alpha",
        ),
        "turned": (".png", with_orientation(6, "PNG"), "exif_rotated"),
    }  # fmt: skip


def _others() -> dict[str, tuple[str, bytes, str]]:
    at = 28
    found = {
        "no bytes": (".jpg", b"", "empty"),
        "no bytes, PNG": (".png", b"", "empty"),
        "text": (".jpg", b"hello", "not_an_image"),
        "text that begins with BM": (".bmp", b"BMW builds cars and motorcycles in Munich", "not_an_image"),
        "an error page": (".jpg", b"<!DOCTYPE html><html><h1>404</h1></html>", "not_an_image"),
        "JSON": (".png", b'{"error": "rate limit"}', "not_an_image"),
        "an archive": (".png", archive(), "not_an_image"),
        "zeros": (".jpg", bytes(5000), "not_an_image"),
        "noise": (".jpg", np.random.default_rng(0).bytes(5000), "not_an_image"),
        "BMP cut in half": (".bmp", BMP[: len(BMP) // 2], "truncated"),
        "BMP cut in its header": (".bmp", BMP[:20], "truncated"),
        "BMP of no width": (".bmp", patched(BMP, 18, bytes(4)), "damaged"),
        "BMP of 7 bits": (".bmp", patched(BMP, at, b"\x07\0"), "damaged"),
        "BMP with a palette": (".bmp", encode(Image.fromarray(PIXELS).quantize(16), "BMP"), "palette"),
        "CMYK": (".jpg", encode(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"), "cmyk"),
        "PNG named jpg": (".jpg", PNG, "wrong_extension"),
        "JPEG named png": (".png", JPEG, "wrong_extension"),
        "BMP named jpg": (".jpg", BMP, "wrong_extension"),
        "JPEG named txt": (".txt", JPEG, "wrong_extension"),
        "JPEG without an ending": ("", JPEG, "wrong_extension"),
        "JPEG named webp": (".webp", JPEG, "wrong_extension"),
        "AVIF named jpg": (".jpg", encode(PIXELS, "AVIF"), "unsupported_format"),
        "JPEG 2000": (".jp2", encode(PIXELS, "JPEG2000"), "unsupported_format"),
        "JPEG 2000 named jpg": (".jpg", encode(PIXELS, "JPEG2000"), "unsupported_format"),
        "icon named png": (".png", encode(PIXELS[:32, :32], "ICO"), "unsupported_format"),
        "PPM": (".ppm", encode(PIXELS, "PPM"), "unsupported_format"),
        "PPM named bmp": (".bmp", encode(PIXELS, "PPM"), "unsupported_format"),
        "Radiance HDR named png": (
            ".png", by_opencv(PIXELS.astype(np.float32) / 255, ".hdr"), "unsupported_format",
        ),
        "one colour": (".png", encode(np.full((40, 40, 3), 77, np.uint8), "PNG"), "blank"),
    }  # fmt: skip
    found |= {f"EXIF {n}": (".jpg", with_orientation(n), "exif_rotated") for n in range(2, 9)}
    return found


def _newer() -> dict[str, tuple[str, bytes, str]]:
    """What ails files of WebP, GIF and TIFF."""
    deep, clear = PIXELS.astype(np.uint16) * 257, np.dstack([PIXELS, GREY])
    pages = [Image.fromarray(picture(phase=n)) for n in range(2)]
    lzw = encode(PIXELS, "TIFF", compression="tiff_lzw")
    indexed = Image.fromarray(PIXELS).quantize(16)
    return {
        "WebP named jpg": (".jpg", WEBP, "wrong_extension"),
        "WebP that moves": (".webp", moving("WEBP"), "animated"),
        "WebP that moves, named jpg": (".jpg", moving("WEBP"), "animated"),
        "WebP cut in half": (".webp", WEBP[: len(WEBP) // 2], "truncated"),
        "WebP less its last byte": (".webp", WEBP[:-1], "truncated"),
        "WebP signature alone": (".webp", WEBP[:12], "truncated"),
        "WebP without a start code": (".webp", patched(WEBP, 23, bytes(3)), "damaged"),
        "WebP with alpha": (".webp", encode(clear, "WEBP"), "alpha"),
        "WebP turned": (".webp", with_orientation(6, "WEBP"), "exif_rotated"),
        "WebP of 16,383 squared": (".webp", patched(WEBP, 26, b"\xff\x3f\xff\x3f"), "too_large"),
        "GIF that moves": (".gif", moving("GIF"), "animated"),
        "GIF that moves, named png": (".png", moving("GIF"), "animated"),
        "GIF cut in half": (".gif", GIF[: len(GIF) // 2], "truncated"),
        "GIF without its end": (".gif", GIF[:-1], "truncated"),
        "GIF without an image": (".gif", GIF[:6] + bytes(7) + b";", "damaged"),
        "GIF larger than its screen": (".gif", patched(GIF, 6, b"\x04\0\x04\0"), "damaged"),
        "GIF of an unknown block": (".gif", patched(GIF, GIF.index(b"\x2c\0\0\0\0"), b"\x77"), "damaged"),
        "GIF screen of 65,535": (".gif", patched(GIF, 6, b"\xff" * 4), "too_large"),
        "GIF and one see-through": (".gif", encode(indexed, "GIF", transparency=2), "alpha"),
        "TIFF named png": (".png", TIFF, "wrong_extension"),
        "TIFF cut in half": (".tif", lzw[: len(lzw) // 2], "truncated"),
        "TIFF cut in its header": (".tif", TIFF[:6], "truncated"),
        "TIFF of damaged LZW": (".tif", patched(lzw, len(lzw) // 2, b"\xff" * 40), "damaged"),
        "TIFF of no width": (".tif", with_value(TIFF, 256, 0), "damaged"),
        "TIFF of few strips": (".tif", with_value(TIFF, 278, 1), "damaged"),
        "TIFF of 60,000 squared": (
            ".tif",
            with_value(with_value(with_value(TIFF, 256, 60_000), 257, 60_000), 278, 60_000),
            "too_large",
        ),
        "TIFF of floats": (".tif", encode(GREY.astype(np.float32), "TIFF"), "unsupported_format"),
        "TIFF of 32 bits": (".tif", encode(GREY.astype(np.int32), "TIFF"), "unsupported_format"),
        "TIFF in Lab": (".tif", encode(Image.fromarray(PIXELS).convert("LAB"), "TIFF"), "unsupported_format"),
        "TIFF by LZMA": (".tif", encode(PIXELS, "TIFF", compression="lzma"), "unsupported_format"),
        "BigTIFF": (".tif", encode(PIXELS, "TIFF", big_tiff=True), "unsupported_format"),
        "TIFF of 16 bits": (".tif", by_opencv(deep, ".tif"), "16_bit"),
        "TIFF of CMYK": (".tif", encode(Image.fromarray(PIXELS).convert("CMYK"), "TIFF"), "cmyk"),
        "TIFF with a palette": (".tif", encode(indexed, "TIFF"), "palette"),
        "TIFF with alpha": (".tif", encode(clear, "TIFF"), "alpha"),
        "TIFF of pages": (".tif", encode(pages[0], "TIFF", save_all=True, append_images=pages), "animated"),
        "TIFF turned": (".tif", with_orientation(6, "TIFF"), "exif_rotated"),
    }


DEFECTS = {**_jpegs(), **_pngs(), **_others(), **_newer()}
"""What ails a file → ending of its name, bytes, and the code (or codes, one of which is due)."""


def _clean() -> dict[str, tuple[str, bytes]]:
    jpegs = {
        "plain": {}, "best": {"quality": 100}, "poor": {"quality": 10}, "progressive": {"progressive": True},
        "4:4:4": {"subsampling": 0}, "4:2:2": {"subsampling": 1}, "optimised": {"optimize": True},
        "restarts": {"restart_marker_blocks": 3}, "comment": {"comment": b"by hand \xff\xd9"},
        "dpi": {"dpi": (72, 72)}, "profile": {"icc_profile": bytes(3000)},
        "upright": {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"},
    }  # fmt: skip
    made: dict[str, tuple[str, bytes]] = {
        f"JPEG {name}": (".jpg", encode(PIXELS, "JPEG", **options)) for name, options in jpegs.items()
    }
    grey = Image.fromarray(GREY)
    return made | {
        "JPEG grey": (".JPG", encode(GREY, "JPEG")),
        "JPEG, something after it": (".jpeg", JPEG + b"\0\0trailer"),
        "JPEG by OpenCV": (".jpg", by_opencv(PIXELS, ".jpg")),
        "PNG": (".png", PNG),
        "PNG by OpenCV": (".PNG", by_opencv(PIXELS, ".png")),
        "PNG grey": (".png", encode(GREY, "PNG")),
        "PNG of one bit": (".png", encode(grey.convert("1"), "PNG")),
        "PNG best compressed": (".png", encode(PIXELS, "PNG", optimize=True)),
        "PNG, something after it": (".png", PNG + b"trailer"),
        "PNG with text": (".png", PNG[:33] + chunk(b"tEXt", b"Title\0IDAT") + PNG[33:]),
        "PNG in two parts": (".png", _in_parts()),
        "BMP": (".bmp", BMP),
        "BMP of 32 bits": (".bmp", by_opencv(np.dstack([PIXELS, GREY]), ".bmp")),
        "WebP": (".webp", WEBP),
        "WebP lossless": (".WEBP", encode(PIXELS, "WEBP", lossless=True)),
        "GIF": (".gif", GIF),
        "GIF grey": (".gif", encode(GREY, "GIF")),
        "TIFF": (".tif", TIFF),
        "TIFF grey": (".tiff", encode(GREY, "TIFF")),
        "TIFF by OpenCV": (".tiff", by_opencv(PIXELS, ".tiff")),
        "TIFF of one bit": (".tif", encode(grey.convert("1"), "TIFF", compression="group4")),
        "TIFF of JPEG": (".tif", encode(PIXELS, "TIFF", compression="jpeg")),
        "one pixel": (".png", encode(np.dstack([GREY, GREY, GREY])[:1, :2], "PNG")),
        "one row": (".png", encode(PIXELS[:1], "PNG")),
        "one column": (".png", encode(PIXELS[:, :1], "PNG")),
    }


def _in_parts() -> bytes:
    whole = rows(61)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 83, 61, 8, 2, 0, 0, 0))
    parts = [chunk(b"IDAT", part) for part in (whole[:100], b"", whole[100:])]
    return PNG[:8] + head + b"".join(parts) + chunk(b"IEND", b"")


CLEAN = _clean()
"""Files that are as they should be, however unusual."""
