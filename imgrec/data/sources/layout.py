"""What the folders in a data folder are: classes, or splits with classes in them, perhaps wrapped up.

Splits are told by their names: only where all folders beside one another have such names, so that a class
`train` among `bus` and `car` stays a class. Folders that hold one folder and nothing else are stepped into.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgrec.data.finding import Walk, is_hidden
from imgrec.data.header import SUPPORTED, UNSUPPORTED
from imgrec.errors import InputError

# `seg_train`, `Training`, `train_set`, `dev`, `val2017`, `test_images`, `testset` …
_AROUND = r"set|split|data(?:set)?|images?|imgs?"
_SPLIT = re.compile(
    rf"(?:(?:seg|{_AROUND})[ _.-]*)?"
    r"(train(?:ing)?|val(?:id(?:ation)?)?|dev(?:elopment)?|test(?:ing)?)"
    rf"(?:[ _.-]*(?:{_AROUND}))*(?:[ _.-]*\d{{1,4}})?"
)
_PLAIN = {"train", "val", "valid", "validation", "test"}
_PARTS = {"tr": "train", "va": "val", "de": "val", "te": "test"}
# Names of folders whose images have no labels; such a folder stands for no class.
_UNLABELED = re.compile(rf"(?:seg[ _.-]*)?(?:pred(?:ict|iction)?s?|unlabell?ed|unknown|all|{_AROUND})")


def split_of(name: str) -> str | None:
    """Return the split that a name means, `train`, `val` or `test`, in any usual spelling; else None."""
    found = _SPLIT.fullmatch(name.strip().lower())
    return _PARTS[found[1][:2]] if found else None


@dataclass(frozen=True)
class Layout:
    """Where the class folders are.

    root: the folder that ids are relative to: the one given, or the one it is wrapped around.
    parts: split → the folder that holds its class folders; the root itself as `train` without splits.
    notes: what was stepped into or left out, one line each.
    """

    root: Path
    parts: dict[str, Path]
    notes: tuple[str, ...]


def layout_of(root: Path) -> Layout:
    """Find the class folders in a folder.

    Raises:
        InputError: the folders are no classes, and no splits either; says what was seen.
    """
    notes: list[str] = []
    here = root
    parts = _splits(here, notes)
    while parts is None and (inner := _wrapped(here)):
        here = inner
        parts = _splits(here, notes)
    if here != root:
        what = "the splits" if parts else "the classes"
        notes.insert(0, f"{root} holds one folder only: those in {here.relative_to(root)} are {what}")
    if parts is None:
        return Layout(here, {"train": _checked(here)}, tuple(notes))
    found: dict[str, Path] = {}
    for part, folder in parts.items():
        inside = folder
        while deeper := _wrapped(inside):
            inside = deeper
        if part != "train" and (unlabeled := _unlabeled(inside)):
            notes.append(
                f"{folder.name} was left out: {unlabeled:,} images without class folders, so without labels; "
                "pipelines.predict reads them"
            )
            continue
        found[part] = _checked(inside)
    renamed = [f"{path.name} is {part}" for part, path in parts.items() if path.name.lower() not in _PLAIN]
    notes += [f"splits by their names: {', '.join(renamed)}"] if renamed else []
    return Layout(here, found, tuple(notes))


def class_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, links to folders among them, sorted; hidden ones are passed over."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))


def count_images(folder: Path, below: bool = True) -> int:
    """Return how many files in a folder are images by their names; also those in folders `below` it."""
    return sum(1 for _ in _images(folder, below))


def _images(folder: Path, below: bool) -> Iterator[Path]:
    here = (folder / name for name in next(os.walk(folder), ("", [], []))[2])
    for file in Walk(folder) if below else here:
        suffix = file.suffix.lower()
        if not file.name.startswith(".") and (suffix in SUPPORTED or suffix in UNSUPPORTED):
            yield file


def _holds(folder: Path, below: bool) -> bool:
    return next(_images(folder, below), None) is not None


def _wrapped(folder: Path) -> Path | None:
    """The one folder that a folder holds, if that one holds folders and no images itself; else None."""
    inside = class_folders(folder)
    if len(inside) != 1 or _holds(inside[0], below=False):
        return None
    back = inside[0].is_symlink() and inside[0].resolve() in (folder.resolve(), *folder.resolve().parents)
    return inside[0] if not back and class_folders(inside[0]) else None


def _splits(root: Path, notes: list[str]) -> dict[str, Path] | None:
    """Split → folder, in order; None where the folders are no splits."""
    folders = class_folders(root)
    named = [(part, path) for path in folders if (part := split_of(path.name))]
    others = [path for path in folders if not split_of(path.name)]
    parts: dict[str, Path] = {}
    train = next((path for part, path in named if part == "train"), None)
    if train is None:
        if named and not others:
            _check_without_train(root, folders)
        return None
    if others and len(named) == 1 and _holds(train, below=False):
        return None  # a class among classes
    for part, path in named:
        if part in parts:
            raise InputError(f"{root}: {parts[part].name} and {path.name} both mean {part}; keep one")
        parts[part] = path
    for path in others:
        if _holds(path, below=True) and not (_UNLABELED.fullmatch(path.name.lower()) and _unlabeled(path)):
            raise InputError(
                f"{root}: {path.name!r} stands beside {train.name!r}; expected train, val and test only, "
                "or class folders only"
            )
        images = count_images(path)
        seen = f"{images:,} images without class folders, so without labels" if images else "it has no images"
        notes.append(f"{path.name} was left out: {seen}")
    return dict(sorted(parts.items()))


def _check_without_train(root: Path, folders: Sequence[Path]) -> None:
    """Refuse splits of which none is for training; images right in them make them classes after all."""
    if not any(_holds(path, below=False) for path in folders) and any(map(class_folders, folders)):
        names = " and ".join(repr(path.name) for path in folders)
        raise InputError(f"{root}: has {names} and no train; expected train/class/…, or class folders")


def _unlabeled(folder: Path) -> int:
    """How many images a folder has, if it has none in a folder that may be a class; else 0."""
    inside = class_folders(folder)
    if len(inside) == 1 and (_UNLABELED.fullmatch(inside[0].name.lower()) or split_of(inside[0].name)):
        return _unlabeled(inside[0])
    return 0 if inside else count_images(folder)


def _checked(folder: Path) -> Path:
    """Return a folder of class folders.

    Raises:
        InputError: there are none, or each holds further folders and no image.
    """
    classes = class_folders(folder)
    if not classes:
        raise InputError(_no_classes(folder))
    if any(_holds(path, below=False) for path in classes):
        return folder
    inner = {path: [p for p in class_folders(path) if _holds(p, below=True)] for path in classes}
    # One folder in a class, such as cat/images, is no choice between classes.
    seen = next((path for path in classes if len(inner[path]) > 1), None)
    if seen is None:
        return folder
    names = [path.name for path in inner[seen]]
    shown = ", ".join(repr(name) for name in names[:4]) + (" …" if len(names) > 4 else "")
    if all(split_of(name) for name in names):
        mend = f"put the splits outside, as {names[-1]}/{seen.name}, or name them in a csv:FILE"
    else:
        mend = (
            f"name the folder whose folders are the classes, such as {seen}, or a csv:FILE of path and label"
        )
    raise InputError(
        f"{folder}: {seen.name!r} holds no images but folders that do ({shown}), and none beside it "
        f"holds any; expected class/images or train/class/images: {mend}"
    )


def _no_classes(folder: Path) -> str:
    entries = list(folder.iterdir())
    loose = _holds(folder, below=False)
    state = "images but no class folders" if loose else "no class folders" if entries else "an empty folder"
    expected = f"{folder}: {state}; expected one folder of images a class, such as {folder.name}/cat"
    return expected + (", or csv:FILE that names their labels" if loose else "")
