"""A folder of image files: what lies in its class folders, and what was passed over."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imgrec.data.finding import Walk, is_hidden, leads_back
from imgrec.data.header import SUPPORTED, UNSUPPORTED
from imgrec.data.sources import layout
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.names import trimmed, unified
from imgrec.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One file of any kind in a class folder, or one that a CSV file names in `line`.

    id: its path below the root, with forward slashes.
    labels: names of its classes, one where no image has several.
    attributes: what else a table says of it, in the order of `Listing.columns`.
    """

    id: str
    path: str
    part: str
    labels: tuple[str, ...]
    line: int = 0
    attributes: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """How the name ends, in lower case."""
        return os.path.splitext(self.path)[1].lower()

    @property
    def is_image(self) -> bool:
        """Whether the name promises an image, of a format that is read or of another."""
        return self.suffix in SUPPORTED or self.suffix in UNSUPPORTED


@dataclass(frozen=True)
class Listing:
    """What lies in a folder, or what a CSV file names; nothing of it opened.

    folders: split → its folder's id (`""` when classes lie in the root itself).
    classes: split → names of its class folders, sorted. Without given splits all is `train`.
    entries: files in the order of splits, classes and paths.
    loops: ids of links that lead back to a folder they lie in, which were not followed.
    closed: ids of folders that cannot be opened, each with the reason.
    hidden: how many files were passed over because their names begin with a dot.
    multi_label: whether an image may have several labels, or none.
    origin: the folder, or the CSV file.
    notes: what the user should hear about, such as what was left out, one line each.
    columns: names of the attributes that a table gives its images.
    """

    root: Path
    folders: dict[str, str]
    classes: dict[str, tuple[str, ...]]
    entries: tuple[Entry, ...]
    loops: tuple[str, ...] = ()
    closed: tuple[tuple[str, str], ...] = ()
    hidden: int = 0
    multi_label: bool = False
    origin: Path = Path()
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """The classes of the training split."""
        return self.classes["train"]

    def class_id(self, part: str, label: str) -> str:
        """The id of a class folder."""
        return f"{self.folders[part]}/{label}" if self.folders[part] else label

    def splits(self, usable: Collection[int]) -> dict[str, Split]:
        """The splits of the entries at the positions `usable`, classes numbered as in `trained`."""
        made = {}
        for part in self.folders:
            rows = [self.entries[i] for i in sorted(usable) if self.entries[i].part == part]
            made[part] = Split(
                ids=tuple(entry.id for entry in rows),
                labels=self._numbered(rows),
                paths=tuple(entry.path for entry in rows),
                attributes={
                    name: tuple(entry.attributes[place] for entry in rows)
                    for place, name in enumerate(self.columns)
                },
            )
        return made

    def _numbered(self, rows: Sequence[Entry]) -> np.ndarray:
        """The labels of entries as a `Split` has them."""
        numbers = {label: number for number, label in enumerate(self.trained)}
        if not self.multi_label:
            return np.array([numbers[entry.labels[0]] for entry in rows], np.int32)
        marked = np.zeros((len(rows), len(numbers)), np.float32)
        for index, entry in enumerate(rows):
            marked[index, [numbers[label] for label in entry.labels]] = 1
        return marked

    def named(self, what: str) -> "Listing":
        """Return the same with the names of classes as `names.unified` makes them.

        Raises:
            InputError: a name that cannot be one, or two of a split that become one.
        """
        tables = {part: unified(names, what) for part, names in self.classes.items()}
        entries = (
            replace(entry, labels=tuple(tables[entry.part][label] for label in entry.labels))
            for entry in self.entries
        )
        return replace(
            self,
            classes={part: tuple(table.values()) for part, table in tables.items()},
            entries=tuple(entries),
            notes=(*self.notes, *trimmed(tables.values())),
        )

    def passed_over(self) -> tuple[str, ...]:
        """A note on the files that are no images, if there are any."""
        others = (entry for entry in self.entries if not entry.is_image)
        kinds = Counter(entry.suffix or Path(entry.path).name for entry in others)
        kinds.update({"hidden": self.hidden} if self.hidden else {})
        if not kinds:
            return ()
        counts = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
        return (f"passed over {sum(kinds.values())} files that are no images: {counts}",)


def occurring(
    entries: Iterable[Entry], parts: Iterable[str], names: Sequence[str], multi_label: bool
) -> dict[str, tuple[str, ...]]:
    """Return split → those of the classes `names` that occur in it, in order.

    Where an image may have several, the training split has all classes.
    """
    held = {(entry.part, name) for entry in entries for name in entry.labels}
    return {
        part: tuple(name for name in names if (part, name) in held or (multi_label and part == "train"))
        for part in parts
    }


def list_folder(folder: str) -> Listing:
    """List the files of a folder.

    Files may lie in folders inside a class; which folders are classes and splits: see `layout.py`. Names
    that begin with a dot, and folders' that begin with two underscores, are passed over. Links are
    followed, unless they lead back.

    Raises:
        InputError: no such folder, nothing in it, or folders that are no classes and no splits.
    """
    root = Path(folder)
    if not root.exists():
        raise InputError(
            f"{folder}: no such folder; expected class folders of images, "
            "or sample, csv:, npz:, idx:, tfds:, keras:"
        )
    if not root.is_dir():
        raise InputError(f"{folder}: a file; expected a folder with one folder a class")
    found = layout.layout_of(root)
    walk, classes, entries = _Walk(found.root), {}, []
    for part, path in found.parts.items():
        labels = [label for label in layout.class_folders(path) if not walk.leads_back(label)]
        classes[part] = tuple(label.name for label in labels)
        entries += [walk.entry(file, part, (label.name,)) for label in labels for file in walk.files(label)]
    return Listing(
        found.root,
        {part: "" if path == found.root else walk.id(path) for part, path in found.parts.items()},
        classes,
        tuple(entries),
        tuple(walk.loops),
        tuple(walk.closed),
        walk.hidden,
        origin=found.root,
        notes=(*found.notes, *_beside(root, found, walk)),
    )


def _beside(root: Path, found: layout.Layout, walk: "_Walk") -> Iterator[str]:
    """Say what lies beside the class folders, or in hidden ones, and belongs to no class."""
    above = {place for path in found.parts.values() for place in (path, *path.parents)}
    for place in sorted(place for place in above if place == root or root in place.parents):
        walk.pass_over(place, (path.name for path in place.iterdir() if path.is_dir()))
        loose = layout.count_images(place, below=False)
        if loose:
            yield f"left out {loose:,} images in {place} that lie in no class folder"
        lost = [path.name for path in place.iterdir() if path.is_symlink() and not path.exists()]
        if lost:
            yield f"left out {', '.join(sorted(lost))} in {place}: links that lead nowhere"
    if walk.passed:
        counts = ", ".join(f"{name} ({count:,} images)" for name, count in sorted(walk.passed.items()))
        yield f"passed over folders, for their names begin with . or __: {counts}"


def list_unlabeled(folder: str) -> Listing | None:
    """List the images that lie in a folder without class folders; None where it is no such folder.

    They are of no class, and stand in one split.
    """
    root = Path(folder)
    if not root.is_dir() or layout.class_folders(root):
        return None
    walk = _Walk(root)
    entries = tuple(walk.entry(file, "train") for file in walk.files(root))
    if not any(entry.is_image for entry in entries):
        return None
    return Listing(
        root, {"train": ""}, {"train": ()}, entries, hidden=walk.hidden, multi_label=True, origin=root
    )


class _Walk:
    """Goes through folders, links followed, none entered twice, and notes where it could not go."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.loops: list[str] = []
        self.closed: list[tuple[str, str]] = []
        self.hidden = 0
        self.passed = Counter[str]()

    def entry(self, path: Path, part: str, labels: tuple[str, ...] = ()) -> Entry:
        return Entry(self.id(path), str(path), part, labels)

    def id(self, path: Path) -> str:
        """The path below the root, with forward slashes."""
        return path.relative_to(self._root).as_posix()

    def files(self, folder: Path) -> Iterator[Path]:
        """Every file below `folder` in the order of paths."""
        walk = Walk(folder)
        yield from sorted(walk)
        self.hidden += len(walk.hidden)
        self.loops += map(self.id, sorted(walk.loops))
        self.closed += ((self.id(path), reason) for path, reason in sorted(walk.closed))
        for path in walk.passed:
            self.pass_over(path.parent, [path.name])

    def pass_over(self, place: Path, names: Iterable[str]) -> None:
        """Count the images in those of the folders `names` that are passed over."""
        for name in filter(is_hidden, names):
            self.passed += Counter({name: layout.count_images(place / name)})

    def leads_back(self, folder: Path) -> bool:
        """Whether a link leads to a folder that it lies in; noted if so."""
        if leads_back(folder):
            self.loops.append(self.id(folder))
        return leads_back(folder)
