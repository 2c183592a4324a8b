"""The IDX format of MNIST and its descendants: `idx:DIR`."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from imgrec.errors import InputError


def read_idx(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one part (`train` or `t10k`) of a folder in MNIST's format, gzipped or not.

    Returns:
        images uint8 `[N, H, W]` and labels uint8 `[N]`.

    Raises:
        InputError: a file is missing or damaged, or images and labels differ in number.
    """
    images = _read(_find(folder, f"{prefix}-images-idx3-ubyte"), dimensions=3)
    labels = _read(_find(folder, f"{prefix}-labels-idx1-ubyte"), dimensions=1)
    if len(images) != len(labels):
        raise InputError(f"{folder}: {prefix} has {len(images)} images but {len(labels)} labels")
    return images, labels


def has_part(folder: Path, prefix: str) -> bool:
    """Whether the folder has the images of the part `prefix`."""
    return any((folder / f"{prefix}-images-idx3-ubyte{ending}").is_file() for ending in ("", ".gz"))


def _find(folder: Path, stem: str) -> Path:
    for name in (stem, f"{stem}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: no {stem} or {stem}.gz; expected a folder in MNIST's IDX format")


def _read(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes: magic, sizes as big-endian 32-bit numbers, then the data."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch the file again") from None
    start = 4 + 4 * dimensions
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < start:
        raise InputError(f"{path}: not an IDX file of {dimensions}-dimensional unsigned bytes")
    shape = tuple(np.frombuffer(data, ">u4", count=dimensions, offset=4).tolist())
    count = int(np.prod(shape, dtype=np.int64))
    if len(data) - start != count:
        raise InputError(f"{path}: header promises {count} bytes of data, the file holds {len(data) - start}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
