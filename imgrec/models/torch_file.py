"""Reads PyTorch's `.pth` files without PyTorch, and without executing the pickle they hold.

Both of PyTorch's formats are read: the zip archive (since 1.6) and the row of pickles and storages from
before. All sizes are checked against the file's before memory is taken.
"""

import io
import math
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.errors import InputError
from imgrec.models.torch_pickle import Refused, Storage, Tensor, follow

MAGIC = 0x1950A86A20F9469CFC6C
"""What the first pickle of the older format holds."""

SHARED = 4
"""How many times the file's size its tensors may take; more than once where they share a storage."""
_DAMAGE = (ValueError, IndexError, EOFError, NotImplementedError, struct.error, zipfile.BadZipFile)
"""What `pickletools`, `zipfile` and the reader's stack raise on bytes that are not what they should be."""


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dictionary, name → array (floats of any width as float32).

    A checkpoint that holds it under `state_dict` or `model` is opened too, and the prefix `module.`
    of a model that was trained in parallel taken off.

    Raises:
        InputError: no such file, another format, damage, or a pickle that names anything but tensors.
    """
    try:
        with open(path, "rb") as file:
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    return _from_zip(archive, path.stat().st_size)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
                return _from_stream(stream)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except Refused as error:
        raise InputError(f"{path}: {error}") from None
    except _DAMAGE as error:
        raise InputError(f"{path}: no whole PyTorch file ({error}); fetch it again") from None


def _from_zip(archive: zipfile.ZipFile, size: int) -> dict[str, np.ndarray]:
    """Read the format in use since PyTorch 1.6: `data.pkl` and one member for each storage."""
    members = {info.filename: info for info in archive.infolist()}
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in members.values()):
        raise Refused("a compressed or encrypted archive; PyTorch stores its members as they are")
    pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise Refused(f"an archive with {len(pickles)} data.pkl, expected 1: not PyTorch's")
    root = pickles[0].removesuffix("data.pkl")
    order = members.get(f"{root}byteorder")
    if order is not None and archive.read(order) != b"little":
        raise Refused("its numbers are not little-endian")

    def data(storage: Storage) -> bytes:
        member = members.get(f"{root}data/{storage.key}")
        if member is None or member.file_size != storage.size:
            raise Refused(f"storage {storage.key!r} is missing or has not the {storage.size} bytes named")
        return archive.read(member)

    tensors = _state(follow(io.BytesIO(archive.read(pickles[0]))), size)
    arrays = {storage: _numbers(data(storage), storage) for storage in {t.storage for t in tensors.values()}}
    return {name: _view(arrays[tensor.storage], tensor) for name, tensor in tensors.items()}


def _from_stream(stream: mmap.mmap) -> dict[str, np.ndarray]:
    """Read the older format: magic, version, system, state and storage keys as pickles, then the storages."""
    if follow(stream) != MAGIC:
        raise Refused("not a PyTorch file")
    follow(stream)
    system = follow(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("its numbers are not little-endian")
    tensors = _state(follow(stream), stream.size())
    wanted = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    arrays: dict[str, np.ndarray] = {}
    for key in follow(stream):
        (count,) = struct.unpack("<q", stream.read(8))
        storage = wanted.get(key)
        if storage is None or storage.values != count or storage.size > stream.size() - stream.tell():
            raise Refused(f"storage {key!r} is not of the size named, or runs past the end of the file")
        arrays[key] = _numbers(stream.read(storage.size), storage)
    if missing := wanted.keys() - arrays.keys():
        raise Refused(f"storage {min(missing)!r} is missing")
    return {name: _view(arrays[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _state(found: Any, size: int) -> dict[str, Tensor]:
    """The mapping of names to tensors in `found`: itself, or what it has under a usual name.

    `size` is the file's: storages together fit in it, tensors (which may share storages) not far above.
    """
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    if not isinstance(found, dict) or not found:
        raise Refused("holds no state dictionary; save model.state_dict()")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise Refused(f"entry {str(name)[:80]!r} is no tensor; save model.state_dict() alone")
    storages = {tensor.storage for tensor in found.values()}
    copies = sum(math.prod(t.shape) * t.storage.size // max(t.storage.values, 1) for t in found.values())
    if sum(storage.size for storage in storages) > size or copies > SHARED * size:
        raise Refused(f"its tensors claim more memory than a file of {size} bytes holds")
    prefix = "module." if all(name.startswith("module.") for name in found) else ""
    return {name.removeprefix(prefix): value for name, value in found.items()}


def _numbers(data: bytes, storage: Storage) -> np.ndarray:
    """The values of a storage, one-dimensional; floats as float32."""
    if storage.dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    values = np.frombuffer(data, storage.dtype)
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _view(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return a tensor of a storage as an array of its own."""
    steps = [stride * values.itemsize for stride in tensor.strides]
    return np.array(np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, steps))
