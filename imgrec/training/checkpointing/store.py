"""Checkpoints on disk: written whole or not at all, and verified before they are believed.

One folder a checkpoint, `PHASE-EPOCH-STEP`: arrays as `.npz` (no pickle), everything else in state.json,
and manifest.json with the sha256 of each, written last. The folder gets its name when all of it is on disk.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.errors import InputError
from imgrec.files import sha256_of, sync

FORMAT = 2
ARRAYS = ("model", "optimizer", "metrics", "best")
FILES = frozenset({*(f"{kind}.npz" for kind in ARRAYS), "state.json"})
_NAME = re.compile(r"\d{3}-\d{6}-\d{8}")


@dataclass(frozen=True, order=True)
class Step:
    """Where a training stands, between two steps: all numbers from 0."""

    phase: int
    epoch: int
    step: int
    """Steps of the epoch that were taken."""

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, after step {self.step}"


@dataclass(frozen=True)
class Snapshot:
    """All that decides how a training goes on."""

    at: Step
    arrays: Mapping[str, list[np.ndarray]]
    """By kind, see `ARRAYS`: variables of the model (with the seeds of dropout), of the optimiser, of the
    epoch's metrics, and the best epoch's weights."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """What else there is, as JSON can hold it."""


class Damaged(Exception):
    """A checkpoint that is not what was written; says what is wrong with it."""


class Checkpoints:
    """The checkpoints of one training, newest last.

    Args:
        folder: where they are; made when the first is saved.
        facts: what the training depends on, such as the data's fingerprint; recorded in every checkpoint,
            and asked for again before one is used.
        keep: how many stay, at least 2, so that there is one behind the newest. Each holds the best epoch.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], keep: int = 2) -> None:
        self.folder, self.facts, self.keep = folder, dict(facts), max(keep, 2)

    def save(self, snapshot: Snapshot) -> Path:
        """Write a checkpoint, then remove the oldest ones; return its folder.

        Raises:
            OSError: it could not be written; the earlier ones are as they were.
        """
        at = snapshot.at
        target = self.folder / f"{at.phase:03d}-{at.epoch:06d}-{at.step:08d}"
        temporary = self.folder / ".writing"
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            _write(temporary, snapshot, self.facts)
            if target.exists():  # another try at the same steps, such as after a return
                shutil.rmtree(target)
            os.replace(temporary, target)
            sync(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for old in self.names()[: -self.keep]:
            shutil.rmtree(self.folder / old)
        return target

    def names(self) -> list[str]:
        """The folders of the checkpoints, oldest first; whether they are whole shows when they are read."""
        if not self.folder.is_dir():
            return []
        return sorted(entry.name for entry in self.folder.iterdir() if _NAME.fullmatch(entry.name))

    def newest(self) -> Snapshot | None:
        """Return the newest whole checkpoint; None where nothing was ever saved.

        Those after it, which are damaged, are named on standard output and set aside, as `NAME.damaged`.

        Raises:
            InputError: there are checkpoints, but none is whole, or they are of another training or format.
        """
        problems: dict[str, str] = {}
        for name in reversed(self.names()):
            try:
                snapshot = self._read(self.folder / name)
            except Damaged as why:
                problems[name] = str(why)
                continue
            for damaged, why_not in problems.items():
                print(f"checkpoint {damaged}: {why_not}; going back to {name}", flush=True)
                self.set_aside(damaged, "damaged")
            return snapshot
        if problems:
            said = "; ".join(f"{name}: {why}" for name, why in problems.items())
            raise InputError(f"{self.folder}: no checkpoint is whole ({said}); --restart begins anew")
        return None

    def set_aside(self, name: str, suffix: str) -> None:
        """Rename a checkpoint, so that it is not used again but can be looked at."""
        aside = self.folder / f"{name}.{suffix}"
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(self.folder / name, aside)

    def clear(self) -> None:
        """Remove all checkpoints, the newest first: stopped in it, a training goes on from an older one."""
        for name in reversed(self.names()):
            shutil.rmtree(self.folder / name)

    def _read(self, folder: Path) -> Snapshot:
        _verify(folder)
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise InputError(
                f"{folder}: checkpoint format {state['format']}, this version reads {FORMAT}; "
                "--restart begins anew"
            )
        if state["facts"] != self.facts:
            changed = [key for key in self.facts if state["facts"].get(key) != self.facts[key]]
            raise InputError(
                f"{folder}: saved by a training with another {' and '.join(changed) or 'set of facts'}; "
                "--restart begins anew"
            )
        arrays = {kind: _read_arrays(folder / f"{kind}.npz") for kind in ARRAYS}
        return Snapshot(Step(*state["place"]), arrays, state["state"])


def _write(folder: Path, snapshot: Snapshot, facts: Mapping[str, Any]) -> None:
    """Fill `folder`, the manifest last, and flush every file of it to disk."""
    for kind in ARRAYS:
        arrays = snapshot.arrays.get(kind, [])
        named: dict[str, Any] = {f"{number:05d}": array for number, array in enumerate(arrays)}
        np.savez(folder / f"{kind}.npz", **named)
    at = snapshot.at
    state = {
        "format": FORMAT,
        "place": [at.phase, at.epoch, at.step],
        "facts": facts,
        "state": dict(snapshot.state),
    }
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for name in FILES:
        sync(folder / name)
    (folder / "manifest.json").write_text(_manifest(folder), encoding="utf-8")
    sync(folder / "manifest.json")
    sync(folder)


def _manifest(folder: Path) -> str:
    return json.dumps({name: sha256_of(folder / name) for name in sorted(FILES)}, indent=1)


def _verify(folder: Path) -> None:
    """Raise Damaged unless every byte of a checkpoint is the one that was written.

    The manifest is compared as text: a change of its own shows too.
    """
    try:
        written = (folder / "manifest.json").read_bytes()
        if written == _manifest(folder).encode():
            return
        listed = json.loads(written)
        wrong = [name for name in sorted(FILES) if listed.get(name) != sha256_of(folder / name)]
    except (OSError, ValueError, AttributeError) as why:
        raise Damaged(f"cannot be read ({why})") from None
    if wrong:
        raise Damaged(f"{', '.join(wrong)}: not what manifest.json lists (sha256 differs)")
    raise Damaged("manifest.json is not what was written")


def _read_arrays(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as held:
        return [held[name] for name in sorted(held.files)]
