"""PNG, BMP, GIF and WebP: containers read by Pillow, which decodes none of their pixels.

The format's plugin is called by itself: no other looks at the file, and Pillow's cap on pixels, one for the
whole process, stays as it is, since the caller applies ours to the header. Of PNG it is Pillow's reader of
chunks: its plugin misses EXIF data behind the pixels and refuses files for a text or profile above 1 MB.
"""

import io
import struct
from collections.abc import Iterator

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import ChunkStream
from PIL.WebPImagePlugin import WebPImageFile

from imgrec.data.formats.fields import DamagedError, Header, UnreadError, present
from imgrec.data.formats.tiff import exif_orientation

PNG_START = b"\x89PNG\r\n\x1a\n"
# What Pillow's plugins raise of damaged files; a warning, where warnings are errors.
_REFUSALS = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error, Warning)


class _Stream(io.BytesIO):
    """A file that remembers whether it broke off, of which Pillow says this or that or nothing."""

    short = False

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.short |= len(found) < (size or 0)
        return found


def read(kind: str, data: bytes) -> Header:
    """Return the header of a `png`, `bmp`, `gif` or `webp` file that is whole."""
    stream = _Stream(data)
    try:
        header = _READERS[kind](stream)
    except _REFUSALS as refusal:
        if not stream.short:
            raise DamagedError(f"damaged {kind.upper()} ({refusal})") from None
    if stream.short:
        raise DamagedError(f"truncated {kind.upper()}: the file breaks off")
    return header


def _png(stream: _Stream) -> Header:
    """Every chunk to IEND, each with its checksum."""
    chunks: dict[bytes, bytes] = {}
    for kind, _, body in _chunks(stream):
        chunks.setdefault(kind, body)
    width, height, bits, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    if not width * height or b"IDAT" not in chunks:
        raise DamagedError("PNG without an image in it")
    clear = colour in (4, 6) or b"tRNS" in chunks
    (frames,) = struct.unpack_from(">I", chunks.get(b"acTL", bytes(4)))
    found = {"16_bit": bits == 16, "alpha": clear, "animated": frames > 1, "palette": colour == 3}
    orientation = exif_orientation(chunks.get(b"eXIf", b""))
    return Header("png", height, width, (1 if colour in (0, 4) else 3) + clear, orientation, present(found))


def _chunks(stream: _Stream) -> Iterator[tuple[bytes, int, bytes]]:
    """Each chunk's name, where it begins, and its body."""
    chunks, kind = ChunkStream(stream), b""
    start = stream.seek(len(PNG_START))
    while kind != b"IEND":
        kind, _, length = chunks.read()
        body = stream.read(length)
        chunks.crc(kind, body)
        yield kind, start, body
        start += 12 + length


def _bmp(stream: _Stream) -> Header:
    """Both headers; uncompressed pixels must all be there."""
    image = BmpImageFile(stream)
    palette = image.mode in ("1", "L", "P")
    if palette and stream.getbuffer()[14] == 12:
        raise UnreadError("a BMP of OS/2 with a palette")  # OpenCV would give shades of grey
    decoder, _, offset, layout = image.tile[0]
    if decoder == "raw":
        assert isinstance(layout, tuple)
        stream.short |= len(stream.getbuffer()) < offset + layout[1] * image.height
    # The fourth byte of a 32-bit BMP is mostly unused and zero: no transparency.
    return Header("bmp", image.height, image.width, 3, traits=present({"palette": palette}), alpha="unused")


def _gif(stream: _Stream) -> Header:
    """Every block to the trailer; the size is the screen's, on which the first image lies."""
    image = GifImageFile(stream)
    left, top, right, bottom = image.tile[0].extents or (0, 0, 0, 0)
    if image.size != struct.unpack_from("<HH", stream.getbuffer(), 6) or left == right or top == bottom:
        raise DamagedError("damaged GIF: its first image is empty or lies outside its screen")
    clear = "transparency" in image.info
    traits = present({"alpha": clear, "animated": image.n_frames > 1})
    return Header("gif", image.height, image.width, 4 if clear else 3, traits=traits)


def _webp(stream: _Stream) -> Header:
    """All that libwebp makes of the chunks but their pixels."""
    stream.seek(8)
    stream.read(struct.unpack_from("<I", stream.getbuffer(), 4)[0])
    image = WebPImageFile(io.BytesIO(stream.getvalue()))
    clear = image.mode == "RGBA"
    orientation = exif_orientation(image.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    traits = present({"alpha": clear, "animated": image.n_frames > 1})
    return Header("webp", image.height, image.width, 4 if clear else 3, orientation, traits)


_READERS = {"png": _png, "bmp": _bmp, "gif": _gif, "webp": _webp}


def first_image(kind: str, data: bytes) -> bytes:
    """Return an animated `gif` or `png` less what makes it move: the image that other viewers show.

    OpenCV takes whether a GIF is transparent from later images, too, and composes a PNG's image, which need
    not belong to its animation, with the first one of that.
    """
    stream = _Stream(data)
    if kind == "png":
        still = (
            data[start : start + 12 + len(body)]
            for name, start, body in _chunks(stream)
            if name not in (b"acTL", b"fcTL", b"fdAT")
        )
        return PNG_START + b"".join(still)
    end = GifImageFile(stream).tile[0].offset
    while data[end]:  # blocks of bytes, each after its length
        end += 1 + data[end]
    return data[: end + 1] + b";"
