"""The part of pickle that PyTorch writes for a state dictionary, taken apart instead of executed.

A pickle is a program. `pickletools` lists its instructions; the few that describe a state dictionary are
followed here, on plain values, and nothing that the file names is ever looked up or called.
"""

import math
import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from imgrec.errors import InputError

STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
"""PyTorch's name of a storage → NumPy's of its values."""
ALLOWED = {
    *STORAGES,
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
}
"""All that a pickle may name."""


class Refused(InputError):
    """The file holds something else than tensors by name, or is damaged; the text says what."""


class _Name(NamedTuple):
    """Something that the pickle names; never looked up."""

    name: str


class Storage(NamedTuple):
    """A row of `values` numbers in the file, under `key`."""

    key: str
    dtype: str
    values: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.values * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


class Tensor(NamedTuple):
    """A view of a storage: first element, shape and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def follow(stream: Any) -> Any:
    """Return what the pickle at the stream's position describes, and leave the stream behind it."""
    return _Reader().run(stream)


class _Reader:
    """The few instructions that PyTorch writes for a state dictionary, on a stack of plain values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: Any) -> Any:
        """Follow one pickle up to its STOP."""
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in CONSTANTS:
                self.stack.append(CONSTANTS[opcode.name](argument))
            elif opcode.name in STEPS:
                STEPS[opcode.name](self, argument)
            elif opcode.name not in ("PROTO", "STOP"):
                raise Refused(f"its pickle has the instruction {opcode.name}, no part of a state dictionary")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        """Take off the stack what was put there since the last mark."""
        start = self.marks.pop()
        taken, self.stack = self.stack[start:], self.stack[:start]
        return taken

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def put(self, slot: int) -> None:
        self.memo[slot] = self.stack[-1]

    def get(self, slot: int) -> None:
        if slot not in self.memo:
            raise Refused(f"its pickle reads slot {slot}, which holds nothing")
        self.stack.append(self.memo[slot])

    def tuple_of(self, count: int) -> None:
        """Join the last `count` values (those since the mark for −1)."""
        values = self.since_mark() if count < 0 else [self.stack.pop() for _ in range(count)][::-1]
        self.stack.append(tuple(values))

    def add_items(self, pairs: list[Any]) -> None:
        """Put keys and values into the dictionary on top."""
        owner, keys, values = self.stack[-1], pairs[::2], pairs[1::2]
        if not isinstance(owner, dict) or not all(isinstance(key, (str, int)) for key in keys):
            raise Refused("its pickle fills something that is no dictionary by name")
        owner.update(zip(keys, values, strict=True))

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise Refused("its pickle appends to something that is no list")
        self.stack[-1].extend(values)

    def name(self, argument: str) -> None:
        """Put a name on the stack, if it is one of the few that tensors need."""
        name = argument.replace(" ", ".")
        if name not in ALLOWED:
            raise Refused(
                f"refused: its pickle names {name}, which could run code; "
                "save model.state_dict() alone, best as .safetensors"
            )
        self.stack.append(_Name(name))

    def storage(self, _: Any) -> None:
        """Describe the storage that a persistent id names."""
        match self.stack.pop():
            case ("storage", _Name(name), str(key), str(), int(count), *rest) if (
                name in STORAGES and count >= 0 and rest in ([], [None])
            ):
                self.stack.append(Storage(key, STORAGES[name], count))
            case _:
                raise Refused("its pickle refers to something outside itself that is no storage")

    def reduce(self, _: Any) -> None:
        """Describe what a call of one of the allowed names would give."""
        arguments, function = self.stack.pop(), self.stack.pop()
        match function, arguments:
            case (_Name("collections.OrderedDict"), ()):
                self.stack.append({})
            case (_Name("torch._utils._rebuild_parameter"), (Tensor() as tensor, bool(), dict())):
                self.stack.append(tensor)
            case (
                _Name("torch._utils._rebuild_tensor_v2"),
                (Storage() as storage, int(offset), tuple(shape), tuple(strides), bool(), dict(), *_),
            ):
                self.stack.append(_checked(Tensor(storage, offset, shape, strides)))
            case _:
                raise Refused("its pickle makes a call that gives no tensor")

    def attributes(self, _: Any) -> None:
        """Pass over what PyTorch notes beside a state dictionary: its modules' versions."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise Refused("its pickle sets attributes of something that is no dictionary")


def _checked(tensor: Tensor) -> Tensor:
    """Return `tensor` if it lies within its storage.

    Raises:
        Refused: it does not, or has more elements than it.
    """
    storage, offset, shape, strides = tensor
    whole = all(isinstance(n, int) and n >= 0 for n in (offset, *shape, *strides))
    if not whole or len(shape) != len(strides) or len(shape) > 8:
        raise Refused("a tensor whose shape, strides and offset are not whole numbers from 0")
    elements = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if elements else 0
    if elements > storage.values or last >= max(storage.values, 1):
        raise Refused(f"a tensor of shape {shape} does not fit its storage of {storage.values} values")
    return tensor


CONSTANTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "BINFLOAT"), lambda a: a),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
}
"""Instruction → the value it puts on the stack."""
STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "MARK": _Reader.mark,
    "BINPUT": _Reader.put,
    "LONG_BINPUT": _Reader.put,
    "BINGET": _Reader.get,
    "LONG_BINGET": _Reader.get,
    "TUPLE": lambda reader, _: reader.tuple_of(-1),
    "TUPLE1": lambda reader, _: reader.tuple_of(1),
    "TUPLE2": lambda reader, _: reader.tuple_of(2),
    "TUPLE3": lambda reader, _: reader.tuple_of(3),
    "SETITEM": lambda reader, _: reader.add_items([reader.stack.pop(), reader.stack.pop()][::-1]),
    "SETITEMS": lambda reader, _: reader.add_items(reader.since_mark()),
    "APPEND": lambda reader, _: reader.append([reader.stack.pop()]),
    "APPENDS": lambda reader, _: reader.append(reader.since_mark()),
    "GLOBAL": _Reader.name,
    "BINPERSID": _Reader.storage,
    "REDUCE": _Reader.reduce,
    "BUILD": _Reader.attributes,
}
"""Instruction → what it does to the stack."""
