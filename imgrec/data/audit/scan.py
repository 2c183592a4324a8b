"""A folder of images looked through: every file examined, or known from before."""

import sys
import time
from collections.abc import Collection
from dataclasses import dataclass

from imgrec.data.audit.cache import FileCache, signature
from imgrec.data.audit.classes import check_classes
from imgrec.data.audit.examine import Examined, Limits
from imgrec.data.audit.findings import Finding, printable
from imgrec.data.audit.pool import examine_files
from imgrec.data.sources.folder import Listing

_SILENT_SECONDS = 2.0


@dataclass(frozen=True)
class Scan:
    """A folder and what came of its files.

    examined: what came of each entry of `listing`, in order.
    findings: what is wrong with files and folders; `classes` adds what is wrong with classes.
    quarantined: positions of entries that a list of the user names; they count as not there.
    decoded: how many files were examined now; the others are known from before.
    """

    listing: Listing
    examined: tuple[Examined, ...]
    findings: tuple[Finding, ...]
    quarantined: frozenset[int]
    decoded: int

    @property
    def usable(self) -> set[int]:
        """Positions of the entries that can be trained on."""
        return {
            index
            for index, (entry, one) in enumerate(zip(self.listing.entries, self.examined, strict=True))
            if one.facts is not None and index not in self.quarantined and entry.id == printable(entry.id)
        }

    @property
    def classes(self) -> list[Finding]:
        """What is wrong with the classes once everything unusable is left out."""
        return check_classes(self.listing, self.usable)


def scan(listing: Listing, limits: Limits, quarantine: Collection[str] = ()) -> Scan:
    """Examine every file that is listed, in worker processes, but those that have not changed since.

    Args:
        listing: of `folder.list_folder` or `csv_file.list_csv`.
        limits: what one file may cost.
        quarantine: printable ids of files to leave out unopened.
    """
    ids = [printable(entry.id) for entry in listing.entries]
    listed = set(quarantine)
    held_back = frozenset(index for index, name in enumerate(ids) if name in listed)
    cache = FileCache(listing.origin, limits)
    marks = [signature(entry.path) for entry in listing.entries]
    known = [cache.find(name, mark) for name, mark in zip(ids, marks, strict=True)]
    due = [index for index, one in enumerate(known) if one is None and index not in held_back]
    fresh = examine_files(
        [listing.entries[index].path for index in due], limits, progress=_Progress(len(due))
    )
    for index, one in zip(due, fresh, strict=True):
        known[index] = one
    examined = tuple(one or Examined() for one in known)
    if due:
        looked = (index for index in range(len(ids)) if index not in held_back)
        cache.store((ids[index], marks[index], examined[index]) for index in looked)
    note = "a link back to a folder it lies in; not followed"
    findings = [Finding(printable(loop), "symlink_loop", note) for loop in listing.loops]
    findings += [Finding(printable(n), "unreadable", f"folder: {reason}") for n, reason in listing.closed]
    for index, (name, one) in enumerate(zip(ids, examined, strict=True)):
        entry = listing.entries[index]
        line = f" (line {entry.line} of {listing.origin.name})" if entry.line else ""
        findings += _of_file(name, name == entry.id, one, index in held_back, line)
    return Scan(listing, examined, tuple(findings), held_back, len(due))


def _of_file(name: str, plain: bool, one: Examined, quarantined: bool, line: str) -> list[Finding]:
    if quarantined:
        return [Finding(name, "quarantined", "left out: the quarantine list names it")]
    found = [Finding(name, code, detail + line) for code, detail in one.found]
    if not plain and (one.facts is not None or found):
        detail = "the name is not valid Unicode or holds control characters; rename the file"
        found.append(Finding(name, "unreadable_name", detail))
    return found


class _Progress:
    """Says how far it is, on a terminal, once it takes its time."""

    def __init__(self, total: int) -> None:
        self._total, self._begun, self._live = total, time.monotonic(), sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        seconds = time.monotonic() - self._begun
        if self._live and seconds > _SILENT_SECONDS and (done % 64 == 0 or done == self._total):
            end = "\n" if done == self._total else ""
            line = f"audit: {done:,}/{self._total:,} files, {done / seconds:,.0f} a second"
            print(f"\r\x1b[2K{line}", end=end, file=sys.stderr, flush=True)
