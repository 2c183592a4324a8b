"""TIFF: the directory of the first page, and whether all its strips or tiles are there.

Read are 1 and 8 bits of grey, and of 8 bits palettes, RGB, CMYK and YCbCr; of 16 bits grey and RGB. Other
forms (floating point, Lab, palettes of one bit, camera raw) would come out wrong or not at all.

Not by Pillow: its plugin refuses forms that it does not know without giving their tags, by which ours are
named; of damaged tags it warns, which no thread can silence for itself alone; and it takes 90 µs (its reader
of tags alone 45) for what takes 17 here.
"""

import struct

from imgrec.data.formats.fields import DamagedError, Header, UnreadError, present

STARTS = (b"II*\0", b"MM\0*")

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS = 254, 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANES = 273, 274, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA, _NUMBERS = 322, 323, 324, 325, 338, 339
_KINDS = {1: "B", 3: "H", 4: "I"}
_NO_COMPRESSION = 1
_COMPRESSIONS = {_NO_COMPRESSION, 2, 3, 4, 5, 7, 8, 32773, 32946}
_GREY, _RGB, _PALETTE, _CMYK, _YCBCR = (0, 1), 2, 3, 5, 6
# (photometric interpretation, samples) → bits a sample.
_READ = {
    **{(grey, samples): {1, 8, 16} if samples == 1 else {8} for grey in _GREY for samples in (1, 2)},
    **{(_RGB, samples): {8, 16} for samples in (3, 4)},
    (_PALETTE, 1): {8},
    (_CMYK, 4): {8},
    (_YCBCR, 3): {8},
}
_MULTIPLIED, _STRAIGHT = 1, 2
_LARGE_TILE = 1 << 22


class Directory:
    """One page's tags, at `start` of `data`; raises struct.error where the file breaks off."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        (count,) = struct.unpack_from(self.order + "H", data, start)
        self.indices: dict[int, tuple[int, int, int]] = {}
        """Tag → kind, count, and where its value or the address of its values stands."""
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(self.order + "HHI", data, at)
            self.indices.setdefault(tag, (kind, number, at + 8))
        (self.next,) = struct.unpack_from(self.order + "I", data, start + 2 + 12 * count)

    def all(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the whole numbers of a tag."""
        kind, count, at = self.indices.get(tag, (0, 0, 0))
        if kind not in _KINDS or not count:
            return default
        size = struct.calcsize(_KINDS[kind])
        if count * size > 4:
            (at,) = struct.unpack_from(self.order + "I", self.data, at)
        if at + count * size > len(self.data):
            raise DamagedError("truncated TIFF: values of a tag are missing")
        return struct.unpack_from(f"{self.order}{count}{_KINDS[kind]}", self.data, at)

    def one(self, tag: int, default: int = 0) -> int:
        """Return the first number of a tag."""
        return self.all(tag, (default,))[0]


def read(data: bytes) -> Header:
    """Read the first page's directory; count the further pages, thumbnails left out."""
    page = _first(data)
    width, height = page.one(_WIDTH), page.one(_HEIGHT)
    if not width or not height:
        raise DamagedError("TIFF without an image in it")
    _check_read(page)
    _check_whole(page, width, height)
    bits, colours, samples = page.one(_BITS, 1), page.one(_COLOURS), page.one(_SAMPLES, 1)
    alpha = page.one(_EXTRA, _STRAIGHT) if samples == 4 and colours == _RGB else 0
    # OpenCV gives up to 8 bits as libtiff makes RGBA of them: multiplied already, unless nothing is said.
    multiplied = alpha == _MULTIPLIED or (alpha == _STRAIGHT and bits == 8 and _EXTRA in page.indices)
    found = {"16_bit": bits == 16, "palette": colours == _PALETTE, "cmyk": colours == _CMYK}
    found |= {"alpha": bool(alpha), "animated": _has_more_pages(page)}
    return Header(
        "tiff",
        height,
        width,
        samples if colours in _GREY else 4 if alpha or colours == _CMYK else 3,
        _orientation(page),
        present(found),
        "multiplied" if multiplied else "straight" if alpha else "unused",
        white_is_zero=bits == 16 and colours == 0,
    )


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation that EXIF data, a TIFF without pixels, holds; 1 where there is none to read."""
    try:
        return _orientation(_first(tiff)) if tiff[:4] in STARTS else 1
    except (struct.error, DamagedError):
        return 1


def unturned(data: bytes) -> bytes:
    """Return the file less its orientation, which OpenCV would apply in some cases."""
    page = _first(data)
    kind, _, at = page.indices[_ORIENTATION]
    return data[:at] + struct.pack(page.order + _KINDS[kind], 1) + data[at + struct.calcsize(_KINDS[kind]) :]


def _first(data: bytes) -> Directory:
    (start,) = struct.unpack_from("<I" if data[:2] == b"II" else ">I", data, 4)
    return Directory(data, start)


def _orientation(page: Directory) -> int:
    """As viewers do, what is out of 1…8 counts as 1."""
    value = page.one(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def _check_read(page: Directory) -> None:
    """Raise UnreadError for a form of TIFF that is not read."""
    bits, colours, samples = page.all(_BITS, (1,)), page.one(_COLOURS, -1), page.one(_SAMPLES, 1)
    if page.one(_SUBFILE) & 1:
        raise UnreadError("a TIFF that begins with a thumbnail, such as camera raw,")
    if set(page.all(_NUMBERS, (1,))) != {1}:
        raise UnreadError("a TIFF of floating-point or signed numbers")
    if page.one(_COMPRESSION, _NO_COMPRESSION) not in _COMPRESSIONS:
        raise UnreadError(f"a TIFF of compression {page.one(_COMPRESSION)}")
    apart = bits[0] == 16 and page.one(_PLANES, 1) != 1
    if len(set(bits)) != 1 or bits[0] not in _READ.get((colours, samples), ()) or apart:
        form = f"{samples} × {bits[0]} bits, photometric interpretation {colours}"
        raise UnreadError(f"a TIFF of {form}{', planes apart' if apart else ''},")


def _check_whole(page: Directory, width: int, height: int) -> None:
    """Raise DamagedError unless as many strips or tiles as the image needs lie within the file."""
    tiled = _TILES in page.indices
    offsets, lengths = (
        (page.all(_TILES), page.all(_TILE_BYTES)) if tiled else (page.all(_STRIPS), page.all(_STRIP_BYTES))
    )
    across, down = (
        (page.one(_TILE_WIDTH), page.one(_TILE_HEIGHT)) if tiled else (width, page.one(_ROWS, height))
    )
    if not across or not down:
        raise DamagedError("damaged TIFF: strips or tiles of no size")
    if tiled and across * down > max(_LARGE_TILE, 4 * width * height):
        raise DamagedError(f"damaged TIFF: tiles of {across} × {down} for {width} × {height} pixels")
    planes = page.one(_SAMPLES, 1) if page.one(_PLANES, 1) == 2 else 1
    needed = -(-width // across) * -(-height // down) * planes
    if len(offsets) < needed or (lengths and len(lengths) < needed):
        raise DamagedError("damaged TIFF: strips or tiles are missing")
    lengths = lengths or (0,) * len(offsets)
    if any(at + length > len(page.data) for at, length in zip(offsets, lengths, strict=False)):
        raise DamagedError("truncated TIFF: its pixels break off")


def _has_more_pages(page: Directory) -> bool:
    """Whether a page follows that is no thumbnail; a chain that breaks off or turns back has ended."""
    seen: set[int] = set()
    while page.next and page.next not in seen:
        seen.add(page.next)
        try:
            page = Directory(page.data, page.next)
        except struct.error:
            return False
        if not page.one(_SUBFILE) & 1:
            return True
    return False
