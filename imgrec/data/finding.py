"""The image files in folders: one way of looking for them, whatever the command."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgrec.data.header import SUPPORTED, UNSUPPORTED
from imgrec.errors import InputError

_KINDS = 6


def is_hidden(folder_name: str) -> bool:
    """Whether a folder of that name is passed over, such as `.ipynb_checkpoints` or `__MACOSX`."""
    return folder_name.startswith((".", "__"))


class Walk:
    """Every file in a folder and below it, nothing of it opened; linked folders too, each folder once.

    What is reached without a link goes by that name. Once all files were asked for, these are complete:

    hidden: files left out because their names begin with a dot.
    passed: folders left out, `is_hidden`.
    loops: links that lead back to a folder they lie in.
    again: links to a folder that was gone through already.
    closed: folders that cannot be listed, each with the reason.
    """

    def __init__(self, top: Path) -> None:
        self._top = top
        self.hidden: list[Path] = []
        self.passed: list[Path] = []
        self.loops: list[Path] = []
        self.again: list[Path] = []
        self.closed: list[tuple[Path, str]] = []

    def __iter__(self) -> Iterator[Path]:
        """Give the files, folder after folder; `sorted` brings them into the order of paths."""
        seen: set[tuple[int, int]] = set()
        folders, links = [self._top], list[Path]()
        while folders or links:
            links.sort(reverse=True)
            here = folders.pop() if folders else links.pop()
            if leads_back(here):
                self.loops.append(here)
                continue
            try:
                status = os.stat(here)
                entries = list(os.scandir(here))
            except OSError as error:
                self.closed.append((here, str(error.strerror)))
                continue
            if (status.st_dev, status.st_ino) in seen:
                self.again.append(here)
                continue
            seen.add((status.st_dev, status.st_ino))
            for entry in entries:
                link, path = entry.is_symlink(), here / entry.name
                if os.path.isdir(path) if link else entry.is_dir():
                    (self.passed if is_hidden(entry.name) else links if link else folders).append(path)
                elif entry.name.startswith("."):
                    self.hidden.append(path)
                else:
                    yield path


def leads_back(folder: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return folder.is_symlink() and folder.resolve() in (folder.parent.resolve() / "x").parents


@dataclass(frozen=True)
class Images:
    """The image files that a user means by some paths.

    files: those named, and those that lie in the folders named and are images by name.
    closed: folders that cannot be listed, each with the reason.
    left_out: what else lies there, in words; empty where there is nothing.
    """

    files: tuple[Path, ...]
    closed: tuple[tuple[Path, str], ...]
    left_out: str


def find_images(paths: Sequence[Path]) -> Images:
    """Return the image files named or lying in the folders named; a named file counts whatever its name.

    Raises:
        InputError: nothing named, a path that does not exist, or no image in the folders.
    """
    if not paths:
        raise InputError("no image named: expected image files or folders, such as photo.jpg")
    files: list[Path] = []
    others: list[Path] = []
    walks: list[Walk] = []
    for path in paths:
        if path.is_dir():
            walks.append(Walk(path))
            for file in sorted(walks[-1]):
                (files if _is_image(file) else others).append(file)
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    left_out = _left_out(others, walks)
    closed = tuple(folder for walk in walks for folder in sorted(walk.closed))
    if not files:
        reasons = [f"{folder}: {reason}" for folder, reason in closed]
        rest = "; ".join([*reasons, f"left out: {left_out}"] if left_out else reasons)
        found = f" ({rest})" if rest else ""
        expected = f"expected {' '.join(sorted(SUPPORTED))}"
        raise InputError(f"{' '.join(map(str, paths))}: no image in it{found}; {expected}")
    return Images(tuple(files), closed, left_out)


def _is_image(file: Path) -> bool:
    """Whether a file is an image by name; a pipe or a device would be waited for."""
    return file.suffix.lower() in SUPPORTED and (file.is_file() or not file.exists())


def _left_out(others: Sequence[Path], walks: Sequence[Walk]) -> str:
    """Say what was not taken of the folders, counted."""
    kinds = Counter(sorted(file.suffix.lower() or "without an ending" for file in others))
    counts = [f"{n} {kind}{' (not read)' * (kind in UNSUPPORTED)}" for kind, n in kinds.most_common(_KINDS)]
    listed = ", ".join(counts + ["…"] * (len(kinds) > _KINDS))
    verb = "is no image" if len(others) == 1 else "are no images"
    parts = [f"{len(others)} file{'s' * (len(others) != 1)} that {verb} by name: {listed}"] * bool(others)
    hidden = sum(len(walk.hidden) + len(walk.passed) for walk in walks)
    again = [str(link) for walk in walks for link in sorted(walk.again + walk.loops)]
    parts += [f"{hidden} hidden"] * bool(hidden)
    parts += [f"{', '.join(again[:3])}: looked through already under another name"] * bool(again)
    return "; ".join(parts)
