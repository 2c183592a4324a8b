"""The part of HDF5 that Keras writes, read byte by byte before the HDF5 library opens the file.

HDF5 is a file system in a file: it has links to other files, data that lies elsewhere, virtual data and
filters, and its library follows damaged pointers (of 5,000 mutated files 11 ended the process and 17 never
returned). Keras's `save` needs none of that: superblock 0, old-style groups, contiguous numbers, an attribute
with a name. Here anything else is refused, every address and size is checked against the file, and no part
may overlap another, so that there are no circles. Source: HDF5 File Format Specification, version 1.1,
sections II to IV.
"""

import math
import struct
from dataclasses import dataclass, field

from imgrec.errors import InputError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = (1 << 64) - 1
"""HDF5's address of what is not there."""
DEEPEST = 32
"""Levels of groups; Keras has one for each layer within a layer."""


class Refused(InputError):
    """The file is damaged, or holds something that Keras does not write; the text says what."""


@dataclass(frozen=True)
class Numbers:
    """A dataset: its shape, its type as NumPy names it, and where its bytes lie in the file."""

    shape: tuple[int, ...]
    dtype: str
    offset: int
    size: int


@dataclass
class _Header:
    """What the messages of an object say."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)

    def one(self, kind: int) -> bytes | None:
        """The message of a kind; None without. Raises Refused where there are more."""
        found = [body for number, body in self.messages if number == kind]
        if len(found) > 1:
            raise Refused(f"an object with {len(found)} messages of type {kind}")
        return found[0] if found else None


NIL, DATASPACE, DATATYPE, FILL_OLD, FILL, LAYOUT = 0x00, 0x01, 0x03, 0x04, 0x05, 0x08
ATTRIBUTE, CONTINUATION, SYMBOLS, MODIFIED = 0x0C, 0x10, 0x11, 0x12
KNOWN = {NIL, DATASPACE, DATATYPE, FILL_OLD, FILL, LAYOUT, ATTRIBUTE, CONTINUATION, SYMBOLS, MODIFIED}
"""Types of messages that Keras's files have; links, external files and filters are not among them."""
FLOATS = {2: (15, 10, 5, 10, 15), 4: (31, 23, 8, 23, 127), 8: (63, 52, 11, 52, 1023)}
"""Bytes → place of the sign, places of exponent and mantissa, exponent's bias: the IEEE numbers."""


def datasets(data: memoryview) -> dict[str, Numbers]:
    """Return every dataset of a file by its path, such as `layers/conv2d/vars/0`.

    Raises:
        Refused: damage, or anything that Keras does not write.
    """
    try:
        return _Reader(data).run()
    except struct.error:
        raise Refused("a structure runs past the end of the file") from None


class _Reader:
    """Walks a file once; `taken` are the spans that were read, none of which may overlap another."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.taken: list[tuple[int, int]] = []
        self.found: dict[str, Numbers] = {}
        self.heaps: dict[int, dict[int, int]] = {}

    def run(self) -> dict[str, Numbers]:
        """Read all of it, and compare the spans at the end."""
        if self.data[:8] != SIGNATURE:
            raise Refused("not an HDF5 file")
        head = self.take(0, 96)
        if head[8:16] != bytes([0, 0, 0, 0, 0, 8, 8, 0]):
            raise Refused("an HDF5 version that Keras does not write")
        base, free, end, driver = struct.unpack_from("<4Q", head, 24)
        if (base, free, end, driver) != (0, UNDEFINED, len(self.data), UNDEFINED):
            raise Refused("its addresses do not fit its size")
        _, root, _, _ = struct.unpack_from("<QQII", head, 56)
        self.group(root, "", 0)
        self.taken.sort()
        for (start, size), (after, _) in zip(self.taken, self.taken[1:], strict=False):
            if start + size > after:
                raise Refused("parts of it overlap")
        return self.found

    def take(self, offset: int, size: int) -> bytes:
        """Return a span of the file, which counts as read; as `claim`."""
        self.claim(offset, size)
        return bytes(self.data[offset : offset + size])

    def claim(self, offset: int, size: int) -> None:
        """Count a span as read. Raises Refused where it is not in the file."""
        if offset + size > len(self.data) or len(self.taken) > len(self.data) // 8:
            raise Refused("an address or a size beyond the end of the file")
        self.taken.append((offset, size))

    def object(self, address: int) -> _Header:
        """Read an object's header, version 1, with its continuations."""
        version, _, count, _, size = struct.unpack_from("<BBHII", self.take(address, 16))
        if version != 1:
            raise Refused("an object header that Keras does not write")
        header, blocks = _Header(), [self.take(address + 16, size)]
        while blocks:
            block, at = blocks.pop(0), 0
            while at + 8 <= len(block) and len(header.messages) < count:
                kind, length, flags = struct.unpack_from("<HHB", block, at)
                body = block[at + 8 : at + 8 + length]
                if kind not in KNOWN or len(body) != length or flags & ~1:
                    raise Refused(f"a message of type {kind}, which Keras does not write")
                if kind == CONTINUATION:
                    blocks.append(self.take(*struct.unpack("<QQ", body)))
                header.messages.append((kind, body))
                at += 8 + length
        if len(header.messages) != count:
            raise Refused("an object header that breaks off")
        for kind, body in header.messages:
            if kind == ATTRIBUTE:
                self.attribute(body)
        return header

    def group(self, address: int, path: str, depth: int) -> None:
        """Read a group or a dataset, and what lies in it."""
        if depth > DEEPEST:
            raise Refused(f"groups within groups, more than {DEEPEST}")
        header = self.object(address)
        table = header.one(SYMBOLS)
        if table is None:
            self.found[path] = self.numbers(header, path)
            return
        if any(header.one(kind) is not None for kind in (DATASPACE, DATATYPE, LAYOUT)):
            raise Refused(f"{path or '/'} is a group and a dataset in one")
        tree, heap = struct.unpack("<QQ", table)
        names = self.heap(heap)
        for offset, child in self.tree(tree):
            name = _name(names, offset)
            below = f"{path}/{name}" if path else name
            if below in self.found:
                raise Refused(f"{below} is there twice")
            self.group(child, below, depth + 1)

    def heap(self, address: int) -> bytes:
        """Return the names of a group: the local heap's data."""
        head = self.take(address, 32)
        size, free, segment = struct.unpack_from("<3Q", head, 8)
        if head[:8] != b"HEAP\0\0\0\0":
            raise Refused("a group without names")
        names = self.take(segment, size)
        seen: set[int] = set()
        while free != 1:  # HDF5's end of the list of free blocks
            if free in seen or free + 16 > size:
                raise Refused("a list of free names that leads astray")
            seen.add(free)
            here, (free, length) = free, struct.unpack_from("<QQ", names, free)
            if length < 16 or here + length > size:
                raise Refused("a free name longer than its heap")
        return names

    def tree(self, address: int, level: int | None = None) -> list[tuple[int, int]]:
        """Return (place of the name, address) of a group's entries, from its B-tree's nodes."""
        signature, kind, at_level, used, _, _ = struct.unpack("<4sBBHQQ", self.take(address, 24))
        if signature != b"TREE" or kind or (level is not None and at_level != level):
            raise Refused("a group without a tree")
        if at_level > 8:
            raise Refused("a tree deeper than any group needs")
        body = self.take(address + 24, 16 * used + 8)
        entries: list[tuple[int, int]] = []
        for number in range(used):
            (child,) = struct.unpack_from("<Q", body, 16 * number + 8)
            entries += self.tree(child, at_level - 1) if at_level else self.node(child)
        return entries

    def node(self, address: int) -> list[tuple[int, int]]:
        """Return the entries of one node; soft links, which have a cache type of their own, are refused."""
        signature, version, _, count = struct.unpack_from("<4sBBH", self.take(address, 8))
        if signature != b"SNOD" or version != 1:
            raise Refused("a group's tree leads to no entries")
        body = self.take(address + 8, 40 * count)
        entries = [struct.unpack_from("<QQI", body, 40 * number) for number in range(count)]
        if any(cache not in (0, 1) for _, _, cache in entries):
            raise Refused("a link to somewhere else; Keras writes none")
        return [(offset, child) for offset, child, _ in entries]

    def numbers(self, header: _Header, path: str) -> Numbers:
        """Read a dataset: contiguous numbers, as many bytes as its shape and type ask for."""
        space, kind, layout = (header.one(part) for part in (DATASPACE, DATATYPE, LAYOUT))
        if space is None or kind is None or layout is None:
            raise Refused(f"{path} is neither a group nor a dataset")
        shape, (dtype, width) = _shape(space), _dtype(kind, path)
        version, storage, offset, size = struct.unpack_from("<BBQQ", layout)
        if (version, storage) != (3, 1):
            raise Refused(f"{path} is not stored in one piece; Keras stores weights as they are")
        needed = math.prod(shape) * width
        if size != needed:
            raise Refused(f"{path} of shape {list(shape)} needs {needed} bytes, and {size} are stored")
        if size:
            self.claim(offset, size)
        return Numbers(shape, dtype, offset, size)

    def attribute(self, body: bytes) -> None:
        """Check an attribute: a short text, in the message itself or in a global heap."""
        version, _, name, kind, space = struct.unpack_from("<BBHHH", body)
        at = 8 + _padded(name)
        type_, space_ = body[at : at + kind], body[at + _padded(kind) : at + _padded(kind) + space]
        value = body[at + _padded(kind) + _padded(space) :]
        if version != 1 or len(type_) != kind or len(space_) != space or _shape(space_):
            raise Refused("an attribute that Keras does not write")
        class_ = type_[0] & 15
        (size,) = struct.unpack_from("<I", type_, 4)
        if class_ == 9 and size == 16 and type_[1] & 15 == 1 and len(value) >= 16:
            self.text(*struct.unpack_from("<IQI", value))
        elif class_ != 3 or size > len(value):
            raise Refused("an attribute that is no text")

    def text(self, length: int, address: int, index: int) -> None:
        """Check that a global heap has the text `index` of `length` bytes."""
        if not length and not address:
            return
        if address not in self.heaps:
            self.heaps[address] = self.global_heap(address)
        if self.heaps[address].get(index, -1) < length:
            raise Refused("an attribute's text is missing")

    def global_heap(self, address: int) -> dict[int, int]:
        """Return the lengths of a global heap's texts by their number; free space, number 0, ends it."""
        signature, size = struct.unpack("<8sQ", self.take(address, 16))
        if signature != b"GCOL\1\0\0\0" or size < 16:
            raise Refused("an attribute's text lies nowhere")
        block, at = self.take(address + 16, size - 16), 0
        lengths: dict[int, int] = {}
        while at + 16 <= len(block):
            number, _, _, held = struct.unpack_from("<HHIQ", block, at)
            if number == 0:
                if held != len(block) - at:
                    raise Refused("a heap of texts whose free space is not its rest")
                break
            if number in lengths or _padded(held) > len(block) - at - 16:
                raise Refused("a text longer than its heap, or there twice")
            lengths[number] = held
            at += 16 + _padded(held)
        return lengths


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8


def _name(names: bytes, offset: int) -> str:
    """Return the name at a place of a heap; a part of a path, and no way up."""
    end = names.find(b"\0", offset) if offset < len(names) else -1
    text = names[offset:end].decode("utf-8", "replace") if end > offset else ""
    if not text.isprintable() or text in ("", ".", "..") or "/" in text:
        raise Refused(f"a name that is none: {text!r:.60}")
    return text


def _shape(body: bytes) -> tuple[int, ...]:
    """Read a dataspace, version 1: of any rank up to 8, with no dimension that may grow."""
    version, rank, flags = struct.unpack_from("<BBB", body)
    if version != 1 or rank > 8 or flags > 1:
        raise Refused("a shape that Keras does not write")
    dimensions = struct.unpack_from(f"<{rank}Q", body, 8)
    if flags and struct.unpack_from(f"<{rank}Q", body, 8 + 8 * rank) != dimensions:
        raise Refused("a dataset that may grow; Keras's may not")
    return dimensions


def _dtype(body: bytes, path: str) -> tuple[str, int]:
    """Read a datatype: little-endian whole numbers or IEEE floats; return its name and bytes."""
    first, bits, sign, _, width = struct.unpack_from("<BBBBI", body)
    plain = first >> 4 == 1 and not bits & 1
    whole = plain and first & 15 == 0 and width in (1, 2, 4, 8) and bits in (0, 8)
    if whole and struct.unpack_from("<HH", body, 8) == (0, 8 * width):
        return f"{'int' if bits else 'uint'}{8 * width}", width
    if plain and first & 15 == 1 and width in FLOATS:
        place, exponent, wide, mantissa, bias = FLOATS[width]
        expected = (0, 8 * width, exponent, wide, 0, mantissa, bias)
        if bits == 0x20 and sign == place and struct.unpack_from("<HHBBBBI", body, 8) == expected:
            return f"float{8 * width}", width
    raise Refused(f"{path} holds numbers of a type that Keras does not write")
