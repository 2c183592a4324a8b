"""Files: what each holds, what is wrong with it, and how it looks."""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from imgrec.data.audit.scores import Scores, measure, reduce
from imgrec.data.decode import checked_header, decode_checked, depth_of, highest_of, to_8_bits
from imgrec.data.formats.fields import Header
from imgrec.data.header import SUFFIXES, SUPPORTED, TITLES, UNSUPPORTED, ImageFault, sniff

_HEAD = 4096
# Reduced images are small, but for long and narrow ones: larger ones are not kept for later.
_KEPT_BYTES = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one file may cost: pixels, bytes, seconds."""

    max_pixels: int
    max_bytes: int
    max_seconds: float = 30.0


@dataclass(frozen=True)
class FileFacts:
    """What one usable file holds: upright size, whether it is stored as grey, sha256 of its bytes.

    highest: the highest value of a 16-bit image, 0 of any other.
    """

    height: int
    width: int
    grey: bool
    sha256: str
    highest: int = 0


@dataclass(frozen=True)
class Examined:
    """What came of one file.

    facts: None when it cannot be trained on (or is not meant to be, such as a text file).
    scores, thumbnail: as `scores.measure`; None and empty when there are no facts.
    found: codes and details, without the file's name.
    """

    facts: FileFacts | None = None
    scores: Scores | None = None
    thumbnail: bytes = b""
    found: tuple[tuple[str, str], ...] = ()


def fault(code: str, detail: str) -> Examined:
    """A file that cannot be used, for one reason."""
    return Examined(found=((code, detail),))


@dataclass(frozen=True)
class _Decoded:
    """A file that can be trained on, before its image is measured."""

    facts: FileFacts
    reduced: np.ndarray
    traits: tuple[tuple[str, str], ...]


def examine(
    paths: Sequence[str],
    limits: Limits,
    said: Callable[[], str] = str,
    begin: Callable[[int], object] = lambda index: None,
) -> list[Examined]:
    """Read, decode and measure files; nothing that is wrong with them raises.

    All are decoded first, and their images measured together: measured between two decodings, each
    finds the processor's caches full of the decoder, and it the other way round, which makes both slower.

    Args:
        paths: a few files, for what is kept of their images is held together.
        limits: larger files are not read, and larger images not decoded. Seconds are up to the caller.
        said: returns what the decoding libraries printed since the last call; they report a damaged
            JPEG in no other way.
        begin: told the place in `paths` of each file before it is opened.
    """
    held: list[Examined | _Decoded] = []
    for index, path in enumerate(paths):
        begin(index)
        one = _decoded(path, limits, said)
        large = isinstance(one, _Decoded) and one.reduced.nbytes > _KEPT_BYTES
        held.append(_measured(one) if large else one)
    return [_measured(one) for one in held]


def _decoded(path: str, limits: Limits, said: Callable[[], str]) -> Examined | _Decoded:
    suffix = os.path.splitext(path)[1].lower()
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return fault("unreadable", "not a regular file; take it out")
        if suffix not in SUPPORTED and suffix not in UNSUPPORTED:
            return _other(path, suffix)
        if status.st_size > limits.max_bytes:
            size = f"{status.st_size:,} bytes, more than the {limits.max_bytes:,} allowed; "
            return fault("too_large", size + "make it smaller or raise --max-bytes")
        with open(path, "rb", buffering=0) as stream:
            data = stream.read()
    except OSError as error:
        code = "symlink_loop" if error.errno == errno.ELOOP else "unreadable"
        return fault(code, f"{error.strerror or error}; mend it or take it out")
    if suffix in UNSUPPORTED:
        return _unsupported(data, suffix)
    try:
        header = checked_header(data, limits.max_pixels)
        said()
        stored = decode_checked(data, header)
        highest = highest_of(stored)
        pixels = to_8_bits(stored, header, depth_of(highest))
        traits = _traits(header, suffix) + _complaints(said())
    except ImageFault as broken:
        moving = (("animated", broken.detail),) if "an animated" in broken.detail else ()
        return Examined(found=((broken.code, broken.detail), *moving))
    height, width = header.upright
    grey = pixels.shape[-1] == 1 or header.channels <= 2
    facts = FileFacts(height, width, grey, hashlib.sha256(data).hexdigest(), highest)
    return _Decoded(facts, reduce(pixels), traits)


def _measured(one: Examined | _Decoded) -> Examined:
    if isinstance(one, Examined):
        return one
    scores, thumbnail = measure(one.reduced)
    blank = (("blank", "one colour all over"),) if scores.blank else ()
    return Examined(one.facts, scores, thumbnail, one.traits + blank)


def _unsupported(data: bytes, suffix: str) -> Examined:
    """A file whose name promises an image of a format that is not read."""
    words = sniff(data)
    found = [
        ("unsupported_format", f"{suffix} images are not read; convert it to PNG or JPEG, or take it out")
    ]
    if words in SUFFIXES:
        found.append(("wrong_extension", f"a {TITLES[words]} file named {suffix}"))
    elif words and "an animated" in words:
        found.append(("animated", f"{words} file"))
    return Examined(found=tuple(found))


def _other(path: str, suffix: str) -> Examined:
    """A file whose name promises no image; one that holds one would be missed."""
    with open(path, "rb") as stream:
        words = sniff(stream.read(_HEAD))
    if words not in SUFFIXES:
        return Examined()
    named = f"named {suffix}" if suffix else "without an ending to its name"
    return fault("wrong_extension", f"a {TITLES[words]} file {named} is passed over; rename it to be used")


_TRAITS = {
    "cmyk": "CMYK, read as RGB",
    "16_bit": "16 bits a channel, scaled to 8",
    "alpha": "transparency, laid on white",
    "palette": "a palette, read as its colours",
    "animated": "several images, of which the first is read",
}


def _traits(header: Header, suffix: str) -> tuple[tuple[str, str], ...]:
    found = [(trait, _TRAITS[trait]) for trait in header.traits]
    if header.orientation != 1:
        found.append(("exif_rotated", f"EXIF orientation {header.orientation}, read upright"))
    if suffix not in SUFFIXES[header.format]:
        found.append(("wrong_extension", f"a {TITLES[header.format]} file named {suffix}"))
    return tuple(found)


# libjpeg's warnings after which pixels are guessed, and the only sign of most damage within a JPEG.
_GUESSED = re.compile(
    r"premature end|bad Huffman code|bad arithmetic code|found marker 0x\w+ instead of|Premature end of JPEG"
    r"|Inconsistent progression|Not enough image data|libpng error|TIFF_Error"
)
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker")


def _complaints(said: str) -> tuple[tuple[str, str], ...]:
    """What the words of the decoding libraries mean.

    Raises:
        ImageFault: part of the image was made up.
    """
    if not said:
        return ()
    guessed = _GUESSED.search(said)
    if guessed:
        line = next(line for line in said.splitlines() if guessed.group() in line).strip()
        raise ImageFault("damaged", "image", f"part of the image is lost ({line}); replace the file")
    left = _LEFT_OVER.search(said)
    if left is None:
        return ()
    return (("stray_data", f"{left.group(1)} bytes too many in its data: perhaps damaged, look at it"),)
