"""A folder of image files: `class/…`, or `train/class/…` with `val/…` and `test/…` beside it."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imgrec.data.dataset import Split
from imgrec.data.header import SUFFIXES
from imgrec.errors import InputError

SUPPORTED = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
# Pictures that would be missed if they were passed over like a text file.
_OTHER_PICTURES = """
.webp .tif .tiff .gif .heic .heif .avif .jxl .jp2 .j2k .psd .svg .ico .pgm .ppm .pbm .tga .exr .hdr .raw .dng
.cr2 .nef .arw .dcm .npy
"""
UNSUPPORTED = frozenset(_OTHER_PICTURES.split()) - SUPPORTED
_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def scan_folder(folder: str) -> tuple[dict[str, Split], tuple[str, ...], tuple[str, ...]]:
    """List the images of a folder: splits (in path order), class names (sorted) and notes.

    Ids are paths relative to the folder, with forward slashes. Files may lie in folders inside a
    class. Names that begin with a dot or two underscores are passed over.

    Raises:
        InputError: no such folder, nothing in it, no class folders, a class without images (named),
            or picture files of a format that is not read (named).
    """
    root = Path(folder)
    if not root.exists():
        raise InputError(
            f"{folder}: no such folder; expected class folders of images, or sample, npz:, idx:, keras:"
        )
    if not root.is_dir():
        raise InputError(f"{folder}: a file; expected a folder with one folder a class")
    named: dict[str, Path] = {}
    for path in _folders(root):
        part = _SPLIT_NAMES.get(path.name.lower())
        if part is not None:
            if part in named:
                raise InputError(f"{folder}: {named[part].name} and {path.name} both mean {part}; keep one")
            named[part] = path
    skipped: Counter[str] = Counter()
    if "train" not in named:
        named = {"train": root}
    else:
        _reject_stray(root, named)
    listings = {part: _classes(path, root, skipped) for part, path in sorted(named.items())}
    classes = tuple(sorted(listings["train"]))
    for part, listing in listings.items():
        unknown = sorted(set(listing) - set(classes))
        if unknown:
            raise InputError(f"{folder}: {part} has a class {unknown[0]!r} that train lacks")
    splits = {part: _split(listing, classes, root) for part, listing in listings.items()}
    return splits, classes, _notes(skipped)


def _reject_stray(root: Path, named: dict[str, Path]) -> None:
    stray = [path.name for path in _folders(root) if path not in named.values()]
    if stray:
        raise InputError(
            f"{root}: {stray[0]!r} stands beside {named['train'].name!r}; expected train, val and test only, "
            "or class folders only"
        )


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _classes(folder: Path, root: Path, skipped: Counter[str]) -> dict[str, list[Path]]:
    """Return the image files of each class folder below `folder`."""
    listing = {path.name: sorted(_images(path, root, skipped)) for path in _folders(folder)}
    if not listing:
        entries = list(folder.iterdir())
        loose = any(path.suffix.lower() in SUPPORTED for path in entries)
        state = (
            "images but no class folders" if loose else "no class folders" if entries else "an empty folder"
        )
        raise InputError(
            f"{folder}: {state}; expected one folder of images a class, such as {folder.name}/cat"
        )
    for name, files in listing.items():
        if not files:
            raise InputError(f"{folder}: class {name!r} has no images; add some or take the folder out")
    return listing


def _images(folder: Path, root: Path, skipped: Counter[str]) -> Iterator[Path]:
    for path in _files(folder):
        suffix = path.suffix.lower()
        if suffix in SUPPORTED:
            yield path
        elif suffix in UNSUPPORTED:
            raise InputError(
                f"{path.relative_to(root).as_posix()}: {suffix} images are not read; "
                "convert it to PNG or JPEG, or take it out"
            )
        else:
            skipped[suffix or path.name] += 1


def _files(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, links followed, no folder entered twice (so that a loop ends)."""
    seen: set[tuple[int, int]] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        yield from (Path(here, name) for name in sorted(files))


def _split(listing: dict[str, list[Path]], classes: tuple[str, ...], root: Path) -> Split:
    rows = [(path, label) for label, name in enumerate(classes) for path in listing.get(name, [])]
    return Split(
        ids=tuple(path.relative_to(root).as_posix() for path, _ in rows),
        labels=np.array([label for _, label in rows], np.int32),
        paths=tuple(str(path) for path, _ in rows),
    )


def _notes(skipped: Counter[str]) -> tuple[str, ...]:
    if not skipped:
        return ()
    kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(skipped.items()))
    return (f"passed over {sum(skipped.values())} files that are no images: {kinds}",)
