"""Where golden pictures come from: a run's own test images, a folder that a user names, or drawn ones."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from imgrec.config import from_mapping
from imgrec.data.header import SUPPORTED
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.guards.documents import read_json, read_text
from imgrec.store.golden import MANY, MOST_BYTES

T = TypeVar("T")
AUTO, DRAWN = "auto", "drawn"
"""Words in the place of a folder: the run's test images where they are still there, else drawn ones."""
LARGEST = MOST_BYTES // MANY // 2
"""Bytes of a golden picture."""
ARRAYS = ("sample", "npz:", "idx:", "keras:")
"""Data that is read whole, in little time; of others, single files are."""


def chosen(asked: str, folder: Path, preprocess: Preprocess) -> tuple[tuple[bytes, ...], str]:
    """Return golden pictures, encoded files, and a word on where they are from.

    Args:
        asked: `AUTO`, `DRAWN`, or a folder.
        folder: of the run.
        preprocess: of the run.

    Raises:
        InputError: no such folder, or none in it that can be read.
    """
    if asked == DRAWN:
        return drawn(preprocess), DRAWN
    if asked != AUTO:
        return from_folder(Path(asked), preprocess), asked
    found = of_run(folder, preprocess)
    return (found, "test images of the run") if found else (drawn(preprocess), DRAWN)


def from_folder(folder: Path, preprocess: Preprocess) -> tuple[bytes, ...]:
    """Return up to `MANY` readable pictures of a folder and those below it, from all over it.

    Raises:
        InputError: no folder, or none in it that can be read.
    """
    if not folder.is_dir():
        raise InputError(f"--golden {folder}: no such folder; name one with pictures, or {DRAWN}")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUPPORTED and p.is_file())
    found = _readable(map(_bytes_of, _spread(files)), preprocess)
    if not found:
        raise InputError(
            f"--golden {folder}: none of its {len(files)} pictures can be read; name another one"
        )
    return found


def of_run(folder: Path, preprocess: Preprocess) -> tuple[bytes, ...]:
    """Return up to `MANY` of the images that a run was tested on; none where they cannot be had.

    Their ids stand in its predictions.csv; its data is where run.json says that it was.
    """
    from imgrec.data.sources.csv_file import list_csv  # these are slow to import, and a server needs none
    from imgrec.data.sources.folder import list_folder
    from imgrec.data.sources.load import open_data

    try:
        ids = [row["id"] for row in csv.DictReader(read_text(folder / "predictions.csv").splitlines())]
        data = from_mapping(read_json(folder / "run.json")["config"]).data
        if data.data.startswith(ARRAYS):
            return _readable(_arrays(open_data(data).given.values(), ids), preprocess)
        if ":" in data.data.removeprefix("csv:"):
            return ()
        is_table = data.data.startswith("csv:")
        listing = list_csv(data.data.removeprefix("csv:")) if is_table else list_folder(data.data)
        paths = {entry.id: entry.path for entry in listing.entries}
        files = (Path(paths[name]) for name in _spread(ids) if name in paths)
        return _readable(map(_bytes_of, files), preprocess)
    except (InputError, OSError, KeyError, TypeError, csv.Error):
        return ()


def _arrays(splits: Iterable[Any], ids: Sequence[str]) -> Iterator[bytes]:
    """Give images of splits by their ids, as PNG files."""
    held = {name: (split.images, place) for split in splits for place, name in enumerate(split.ids)}
    for name in _spread(ids):
        if name in held:
            images, place = held[name]
            yield _png(images[place])


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Return uint8 `[h, w, 1 or 3]`, RGB, as a PNG file."""
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def _bytes_of(file: Path) -> bytes:
    """Return what a file holds; nothing of one that cannot be read, or is very large."""
    try:
        return file.read_bytes() if file.stat().st_size <= LARGEST else b""
    except OSError:
        return b""


def _spread(files: Sequence[T]) -> Iterator[T]:
    """Give all of them: first `MANY` that lie evenly apart, then the others, for where one is damaged."""
    first = np.unique(np.linspace(0, max(0, len(files) - 1), min(MANY, len(files))).round().astype(int))
    yield from (files[index] for index in first)
    taken = set(first.tolist())
    yield from (file for index, file in enumerate(files) if index not in taken)


def _readable(files: Iterable[bytes], preprocess: Preprocess) -> tuple[bytes, ...]:
    """Return the first `MANY` files that are pictures."""
    found: list[bytes] = []
    for data in files:
        try:
            preprocess.on_bytes(data)
        except InputError:
            continue
        found.append(data)
        if len(found) == MANY:
            break
    return tuple(found)


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
        size = (width + width // 2, height + height // 3)
        made.append(_png(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8)))
    return tuple(made)
