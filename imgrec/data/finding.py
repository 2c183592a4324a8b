"""The image files in folders: one way of looking for them, whatever the command."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imgrec.data.header import SUPPORTED, UNSUPPORTED
from imgrec.errors import InputError

_KINDS = 6


@dataclass(frozen=True)
class Tree:
    """What lies below a folder; nothing of it opened.

    files: every file of any kind, in the order of paths.
    hidden: how many files and folders were left out because their names begin with a dot, and folders
        because theirs begin with two underscores, such as `__MACOSX`.
    again: links to folders that were gone through already, under another name or from above.
    closed: folders that cannot be listed, each with the reason.
    """

    files: tuple[Path, ...]
    hidden: int
    again: tuple[Path, ...]
    closed: tuple[tuple[Path, str], ...]


def walk(top: Path) -> Tree:
    """Go through a folder and all below it, linked folders too, each of them once.

    What is reached without a link goes by that name.
    """
    files: list[Path] = []
    again: list[Path] = []
    closed: list[tuple[Path, str]] = []
    seen: set[tuple[int, int]] = set()
    hidden, folders, links = 0, [top], list[Path]()
    while folders or links:
        links.sort(reverse=True)
        here = folders.pop() if folders else links.pop()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                again.append(here)
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(here))
        except OSError as error:
            closed.append((here, str(error.strerror)))
            continue
        for entry in entries:
            link, path = entry.is_symlink(), here / entry.name
            is_folder = os.path.isdir(path) if link else entry.is_dir()
            if entry.name.startswith((".", "__") if is_folder else "."):
                hidden += 1
            else:
                (files if not is_folder else links if link else folders).append(path)
    return Tree(tuple(sorted(files)), hidden, tuple(sorted(again)), tuple(sorted(closed)))


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
    trees: list[Tree] = []
    for path in paths:
        if path.is_dir():
            tree = walk(path)
            trees.append(tree)
            images = [file for file in tree.files if _is_image(file)]
            files += images
            others += set(tree.files) - set(images)
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    left_out = _left_out(others, trees)
    closed = tuple(folder for tree in trees for folder in tree.closed)
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


def _left_out(others: Sequence[Path], trees: Sequence[Tree]) -> str:
    """Say what was not taken of the folders, counted."""
    kinds = Counter(file.suffix.lower() or "without an ending" for file in others)
    counts = [f"{n} {kind}{', not read' * (kind in UNSUPPORTED)}" for kind, n in kinds.most_common(_KINDS)]
    listed = ", ".join(counts + ["…"] * (len(kinds) > _KINDS))
    verb = "is no image" if len(others) == 1 else "are no images"
    parts = [f"{len(others)} file{'s' * (len(others) != 1)} that {verb} by name ({listed})"] * bool(others)
    hidden, again = sum(tree.hidden for tree in trees), [str(link) for tree in trees for link in tree.again]
    parts += [f"{hidden} hidden"] * bool(hidden)
    parts += [f"{', '.join(again[:3])}: looked through already under another name"] * bool(again)
    return "; ".join(parts)
