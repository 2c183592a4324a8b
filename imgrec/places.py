"""Where a command writes: links followed, proven before any work is done, and filled whole at the end.

A folder is written beside its place and renamed. Where that cannot be, as at a mount point or where the
parent may not be written, it is written inside of its place, and its entries are renamed.
"""

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgrec.errors import InputError

INSIDE, RETIRED = ".unfinished", ".replaced"
NO_CONTENT = {INSIDE, RETIRED, "lost+found", "preview.png", "lr_find.png"}
"""Entries of a place that are nothing that somebody keeps there."""
PROBE = ".imgrec-probe-"
_ROOM = 1 << 20
"""Bytes that must fit."""


@dataclass(frozen=True)
class Place:
    """A folder to be written whole."""

    target: Path
    """Absolute, with all links followed."""
    staging: Path
    """The folder in which it is written."""

    @property
    def is_inside(self) -> bool:
        """Whether it is written inside of its place."""
        return self.staging.parent == self.target

    @property
    def retired(self) -> Path:
        """Where what was there before is, until the new folder is in place."""
        return self.target / RETIRED if self.is_inside else self.target.with_name(self.target.name + RETIRED)

    def beside(self, name: str) -> Path:
        """A file that is about this place but no part of it: `OUT.preview.png`, or inside of `OUT`."""
        return self.target / name if self.is_inside else self.target.with_name(f"{self.target.name}.{name}")


_found: dict[Path, Place] = {}
"""Places that were decided on: a run must stay where it began, whatever else changes."""


def follow(out: Path) -> Path:
    """Return what `out` stands for, absolute; a link may dangle.

    Raises:
        InputError: it is a file, lies below one, or is a link that leads back to itself.
    """
    target = Path(os.path.realpath(out))
    if target.is_symlink():
        raise InputError(f"--out {out}: a symbolic link that leads back to itself; name a folder")
    for part in (target, *target.parents):
        if os.path.exists(part) and not os.path.isdir(part):
            what = "is a file" if part == target else f"{part} is a file"
            raise InputError(f"--out {out}: {what}, expected a folder to write to")
    return target


def place_of(out: Path) -> Place:
    """Return where `out` is written: as `prove` decided in this process, or would now.

    Raises:
        InputError: as `follow`.
    """
    target = follow(out)
    if target not in _found:
        _found[target] = _decide(target)
    return _found[target]


def prove(out: Path) -> Place:
    """Decide how `out` is to be written and prove that it can be: make, write, rename and remove a probe.

    What is in `out` stays as it is, and where there is no `out` none is made.

    Raises:
        InputError: it cannot be written, with the reason; or as `follow`.
    """
    target = follow(out)
    place = _found[target] = _decide(target)
    _prove_writable(out, target if place.is_inside else target.parent)
    return place


def make_folder(out: Path) -> None:
    """Make a folder that is written file by file, and prove that it can be written.

    Raises:
        InputError: as `prove`.
    """
    target = follow(out)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(out, target, error) from None
    _prove_writable(out, target)


def has_content(out: Path) -> bool:
    """Whether a folder is there that holds something, other than what a file system puts there."""
    return os.path.isdir(out) and any(entry.name not in NO_CONTENT for entry in out.iterdir())


def _decide(target: Path) -> Place:
    """Choose between beside and inside."""
    inside = Place(target, target / INSIDE)
    if os.path.isdir(target) and (os.path.isdir(inside.staging) or not _can_be_renamed(target)):
        return inside  # also where a run was begun there: it goes on there
    return Place(target, target.with_name(target.name + INSIDE))


def _can_be_renamed(target: Path) -> bool:
    """Whether an existing folder can be moved away and another put in its place.

    Renaming it onto a folder that is not empty fails at last for that reason, once everything else, such as a
    mount point or a foreign owner, has been found to allow it: so nothing ever moves.
    """
    here = Path(os.path.realpath(os.curdir))
    if os.path.ismount(target) or target in (here, *here.parents):
        return False  # whoever stands in a folder that is replaced stands in one that is gone
    try:
        with _probe(target.parent) as probe:
            (probe / "a").mkdir()
            if os.name == "nt":
                return True
            os.rename(target, probe)
            os.rename(probe, target)  # a file system of its own mind
            return True
    except OSError as error:
        return error.errno in (errno.ENOTEMPTY, errno.EEXIST)


def _prove_writable(out: Path, folder: Path) -> None:
    """Raise InputError unless files can be written and renamed in `folder`, or where it is to be made."""
    there = next(part for part in (folder, *folder.parents) if os.path.isdir(part))
    try:
        with _probe(there) as probe:
            (probe / "a").mkdir()
            with open(probe / "a" / "b", "wb") as file:
                file.write(bytes(_ROOM))
                file.flush()
                os.fsync(file.fileno())
            os.replace(probe / "a" / "b", probe / "a" / "c")
            os.replace(probe / "a", probe / "d")
    except OSError as error:
        raise _refused(out, there, error) from None


def _refused(out: Path, folder: Path, error: OSError) -> InputError:
    cure = "make room, or name" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "name"
    return InputError(
        f"--out {out}: {folder} cannot be written ({_reason(error)}); {cure} a folder elsewhere"
    )


@contextlib.contextmanager
def _probe(folder: Path) -> Iterator[Path]:
    """Give a new folder in `folder`, which is removed."""
    probe = Path(tempfile.mkdtemp(prefix=PROBE, dir=folder))
    try:
        yield probe
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def put(place: Place, last: Sequence[str] = (), keep: str = "") -> Path:
    """Put the whole folder `place.staging` in its place, and return where it is now.

    Where renaming is refused after all, it is copied; where that is refused too, it stays, one line on
    standard error says so, and the folder there is whole.

    Args:
        place: where.
        last: entries by which the folder is known as whole; they come last, in this order.
        keep: an entry of what it went on from, which stays until all else is in place, and is then dropped.
    """
    try:
        if place.is_inside:
            _fill(place, last, keep)
        else:
            _swap(place, keep)
        return place.target
    except OSError as error:
        refused = error
    try:
        _copy(place, last, keep, refused)
        return place.target
    except OSError as error:
        print(
            f"warning: {place.target}: cannot be put in place ({_reason(refused)}; by copying: "
            f"{_reason(error)}). It is finished, and lies whole in {place.staging}",
            file=sys.stderr,
        )
        return place.staging


def _swap(place: Place, keep: str) -> None:
    """Rename the staging folder to its place; what was there goes once that is done."""
    replaces = place.target.exists()
    if replaces:
        shutil.rmtree(place.retired, ignore_errors=True)
        os.replace(place.target, place.retired)
    try:
        os.replace(place.staging, place.target)
    except OSError:
        if replaces:
            os.replace(place.retired, place.target)
        raise
    if keep:
        shutil.rmtree(place.target / keep, ignore_errors=True)
    if replaces:
        shutil.rmtree(place.retired, ignore_errors=True)


def _fill(place: Place, last: Sequence[str], keep: str) -> None:
    """Rename the entries of a staging folder inside of its place; what was there goes once that is done."""
    target, staging, retired = place.target, place.staging, place.retired
    shutil.rmtree(retired, ignore_errors=True)
    retired.mkdir()
    old = {entry.name for entry in target.iterdir()} - {INSIDE, RETIRED, "lost+found"}
    new = {entry.name for entry in staging.iterdir()} - {keep}
    first_out = [name for name in reversed(last) if name in old]
    last_in = [name for name in last if name in new]
    moves = [(target / name, retired / name) for name in [*first_out, *sorted(old.difference(last))]]
    moves += [(staging / name, target / name) for name in [*sorted(new.difference(last)), *last_in]]
    done: list[tuple[Path, Path]] = []
    try:
        for source, destination in moves:
            os.replace(source, destination)
            done.append((source, destination))
    except OSError:
        for source, destination in reversed(done):
            os.replace(destination, source)
        raise
    shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(retired, ignore_errors=True)


def _copy(place: Place, last: Sequence[str], keep: str, refused: OSError) -> None:
    """Copy the staging folder into its place, entry by entry, and drop it there.

    Raises:
        OSError: that is not possible either; the place and the staging folder are then as they were.
    """
    if place.is_inside:
        raise refused
    inner = Place(place.target, place.target / INSIDE)
    made = not place.target.exists()
    try:
        place.target.mkdir(parents=True, exist_ok=True)
        shutil.copytree(place.staging, inner.staging, ignore=lambda _, names: {keep}.intersection(names))
        _fill(inner, last, "")
    except OSError:
        shutil.rmtree(place.target if made else inner.staging, ignore_errors=True)
        raise
    shutil.rmtree(place.staging, ignore_errors=True)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
