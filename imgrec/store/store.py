"""A store of versions: run folders, verified, each with golden pictures; one file says who answers.

STORE/store.json        written whole and renamed: a killed command leaves the old one or the new one
STORE/versions/NAME/    a version, complete from the moment it has that name; nothing in it changes again
  run/                  a copy of the run folder: the files of its manifest
  golden.npz            pictures, and what the version answered to them when it came
  version.json          what is served, its digest, where the pictures are from
STORE/refused.json      what a server said of versions that it would not serve
STORE/decisions.txt     what a server changed by itself, when and why: the last 1,000 lines
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from imgrec import bundle
from imgrec.errors import InputError
from imgrec.files import sync, write_json, write_text
from imgrec.guards.documents import read_json
from imgrec.store.adding import described, fill, name_for
from imgrec.store.locks import locked
from imgrec.store.pictures import AUTO
from imgrec.store.state import ACTIVE, FILE, State, checked_name, read_state, write_state
from imgrec.store.versions import FOLDER, Entry, Versions

REFUSED, LOCK = "refused.json", ".lock"
DECISIONS, DECIDED = "decisions.txt", 1000
ADDING, REMOVING = ".adding", ".removing"
"""Where a version is put together, or taken apart: no names of versions, so that nobody takes it for one."""


@dataclass(frozen=True)
class Listed:
    """A version, its role or an empty text, and why a server refused it, if one did."""

    entry: Entry
    role: str
    refused: str


class Store(Versions):
    """A folder of versions; use `open` or `create`."""

    @classmethod
    def is_one(cls, path: Path) -> bool:
        """Whether a folder is a store."""
        return (path / FILE).is_file() and not (path / bundle.MANIFEST).exists()

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """Return the store in a folder. Raises InputError where there is none."""
        path = Path(path)
        if not cls.is_one(path):
            raise InputError(
                f"{path}: no store of versions; `python -m pipelines.store add {path} RUN` makes one"
            )
        return cls(path)

    @classmethod
    def create(cls, path: Path | str) -> "Store":
        """Return the store in a folder, a new one where there is nothing yet.

        Raises:
            InputError: the folder holds something else, or cannot be written to.
        """
        store = cls(Path(path))
        if not cls.is_one(store.path):
            with store._writing():
                held = list(store.path.iterdir()) if store.path.is_dir() else []
                if any(each.name != FOLDER and not each.name.startswith(".") for each in held):
                    raise InputError(f"{path}: holds files that are no store; name a new or empty folder")
                (store.path / FOLDER).mkdir(parents=True, exist_ok=True)
                with locked(store.path / LOCK):
                    if not (store.path / FILE).exists():
                        write_state(store.path, State())
        return store

    @property
    def state(self) -> State:
        """Who has which role now. Raises InputError where store.json is not as it was written."""
        return read_state(self.path)

    def add(self, run: Path | str, name: str = "", pictures: Path | str = AUTO) -> str:
        """Copy a finished run into the store, with golden pictures and its answers; return its name.

        A run, or file of one, that the store has already is not added again: its name is returned.

        Args:
            run: a run folder, or a file in its `exports/`, which then is what answers.
            name: of the version; by default the run's, with a number behind it where that is taken.
            pictures: golden ones: a folder, `drawn`, or `auto`: of the run's test images where they are
                still there, else drawn.

        Raises:
            InputError: no finished run, one that differs from its manifest or cannot answer, a name that is
                taken or not allowed, or no pictures.
        """
        if name:
            checked_name(name)
        folder, entry = described(Path(run), str(pictures))
        with self._writing(), locked(self.path / FOLDER / LOCK):
            known = {each.digest: each.name for each in self.entries()}.get(entry.digest, "")
            if known and name in ("", known):
                self.verify(known)
                return known
            if known:
                raise InputError(f"--name {name}: that run is in the store already, as {known}")
            if name and self.folder(name).exists():
                raise InputError(f"--name {name}: another version has it; take another name")
            staging = self.path / FOLDER / ADDING
            shutil.rmtree(staging, ignore_errors=True)  # of a command that was killed
            try:
                name = name or self._free(name_for(folder))
                fill(staging, folder, replace(entry, name=name))
                os.rename(staging, self.folder(name))
                sync(self.path / FOLDER)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return name

    def _free(self, first: str) -> str:
        """Return a name that nobody has: the one given, or that with a number."""
        number, name = 1, first
        while self.folder(name).exists():
            number += 1
            name = f"{first}-{number}"
        return name

    def promote(self, name: str, role: str = ACTIVE, share: float = 0.1) -> None:
        """Give a version a role: whoever had it gives it up, and the version its other one.

        Args:
            name: of the version.
            role: active, canary or shadow.
            share: of the keys that a canary answers.

        Raises:
            InputError: no such version, one that is damaged, or as `State.promoted`.
        """
        self.verify(name)
        with self._changing():
            self.entry(name)  # nobody has removed it meanwhile
            write_state(self.path, self.state.promoted(name, role, share))

    def rollback(self, role: str = ACTIVE) -> str:
        """Let the version before the active one answer again; or end a canary or a shadow.

        Returns:
            The name of the version that is active then.

        Raises:
            InputError: there is none before it, or nobody has that role.
        """
        with self._changing():
            state = self.state
            if role != ACTIVE:
                name = state.roles().get(role, "")
                if not name:
                    raise InputError(f"--as {role}: no version has that role; nothing to roll back")
                write_state(self.path, state.without(name))
                return state.active
            before = [name for name in state.history if self.folder(name).is_dir()]
            if not before:
                raise InputError(f"{self.path}: no version was active before {state.active or 'any'}")
            name = before.pop()
            write_state(self.path, state.without(name).with_active(name, tuple(before)))
            return name

    def remove(self, name: str) -> None:
        """Delete a version that has no role. Raises InputError of one that has, or that is not there."""
        with self._writing(), locked(self.path / FOLDER / LOCK):
            gone = self.path / FOLDER / REMOVING
            shutil.rmtree(gone, ignore_errors=True)
            with locked(self.path / LOCK):
                if not self.folder(name).is_dir():
                    self.entry(name)
                if role := {held: role for role, held in self.state.roles().items()}.get(name):
                    raise InputError(f"{name}: is the {role} version; promote another one or roll it back")
                os.rename(self.folder(name), gone)
            shutil.rmtree(gone, ignore_errors=True)

    def listed(self) -> list[Listed]:
        """Return every version, the oldest first."""
        roles = {name: role for role, name in self.state.roles().items()}
        refused = self._refused()
        return [
            Listed(each, roles.get(each.name, ""), refused.get(each.digest, "")) for each in self.entries()
        ]

    def note(self, digest: str, refused: str) -> None:
        """Remember that a server refused a version, and why; with an empty text that one serves it.

        Where the store may not be written, nothing is remembered.
        """
        try:
            with locked(self.path / LOCK):
                before, there = self._refused(), {each.digest for each in self.entries()}
                after = {
                    held: why for held, why in {**before, digest: refused}.items() if why and held in there
                }
                if after != before:
                    write_json(self.path / REFUSED, after)
        except OSError:
            return

    def remember(self, why: str) -> None:
        """Add a line to `decisions.txt`: what a server changed by itself. Raises InputError, OSError."""
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        with self._changing():
            path = self.path / DECISIONS
            before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            lines = [*before[1 - DECIDED :], f"{moment} {' '.join(why.split())}"]
            write_text(path, "\n".join(lines) + "\n")

    def _refused(self) -> dict[str, str]:
        try:
            held = read_json(self.path / REFUSED)
        except InputError:
            return {}  # none yet
        return {digest: str(why) for digest, why in held.items()}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say in one line where the store cannot be written; a full disk has a message of its own."""
        try:
            yield
        except (PermissionError, FileNotFoundError, NotADirectoryError) as error:
            raise InputError(f"{self.path}: cannot be written to ({error.strerror or error})") from None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the right to write store.json."""
        with self._writing(), locked(self.path / LOCK):
            yield
