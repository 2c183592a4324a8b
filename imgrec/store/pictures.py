"""Where golden pictures come from: a folder that a user names, or drawn ones."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from imgrec.data.header import SUPPORTED
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.store.golden import MANY


def from_folder(folder: Path, preprocess: Preprocess) -> tuple[bytes, ...]:
    """Return up to `MANY` readable pictures of a folder and those below it, from all over it.

    Raises:
        InputError: no folder, or none in it that can be read.
    """
    if not folder.is_dir():
        raise InputError(f"--golden {folder}: no such folder; name one with pictures")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUPPORTED and p.is_file())
    found = tuple(_readable(_spread(files), preprocess))
    if not found:
        raise InputError(
            f"--golden {folder}: none of its {len(files)} pictures can be read; name another one"
        )
    return found


def _spread(files: Sequence[Path]) -> Iterator[Path]:
    """Give all of them: first `MANY` that lie evenly apart, then the others, for where one is damaged."""
    first = np.unique(np.linspace(0, max(0, len(files) - 1), min(MANY, len(files))).round().astype(int))
    yield from (files[index] for index in first)
    yield from (file for index, file in enumerate(files) if index not in set(first.tolist()))


def _readable(files: Iterator[Path], preprocess: Preprocess) -> Iterator[bytes]:
    found = 0
    for file in files:
        try:
            data = file.read_bytes()
            preprocess.on_bytes(data, str(file))
        except (InputError, OSError):
            continue
        yield data
        found += 1
        if found == MANY:
            return


def drawn(preprocess: Preprocess) -> tuple[bytes, ...]:
    """Return `MANY` pictures, the same ones every time: clouds of all coarsenesses, as PNG files.

    They are larger than the model's own and not square, so that resizing is pinned, too.
    """
    height, width, _ = preprocess.shape
    rng = np.random.default_rng(20)
    made = []
    for index in range(MANY):
        cells = 2 + index * index
        pixels = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
        cloud = cv2.resize(pixels, (width + width // 2, height + height // 3), interpolation=cv2.INTER_CUBIC)
        made.append(cv2.imencode(".png", cloud)[1].tobytes())
    return tuple(made)
