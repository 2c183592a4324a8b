"""`store.json`: which version answers, which one gets a share, which one is only watched."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec.errors import InputError
from imgrec.files import write_json
from imgrec.guards.documents import read_json

FILE = "store.json"
FORMAT = 1
ACTIVE, CANARY, SHADOW = "active", "canary", "shadow"
ROLES = (ACTIVE, CANARY, SHADOW)
REMEMBERED = 100
"""Versions that were active, which `rollback` can go back through."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADVICE = "restore it, or promote a version in a new store"


@dataclass(frozen=True)
class State:
    """What a store says of its versions; a role that nobody has is empty.

    active: answers.
    canary: answers `share` of the keys, 0 to 1, in its place.
    shadow: is asked, too; nobody gets its answers.
    history: those that were active before, the last of them last.
    """

    active: str = ""
    canary: str = ""
    share: float = 0.0
    shadow: str = ""
    history: tuple[str, ...] = ()

    def roles(self) -> dict[str, str]:
        """Return role → version of every role that one has."""
        return {role: name for role in ROLES if (name := getattr(self, role))}

    def promoted(self, name: str, role: str, share: float) -> "State":
        """Return the state in which `name` has a role; it gives up any other.

        Raises:
            InputError: no such role, a share outside 0…1, or a canary or shadow where it is the active one,
                or there is none.
        """
        if role not in ROLES:
            raise InputError(f"--as {role}: expected {', '.join(ROLES)}")
        if role != ACTIVE and self.active in ("", name):
            how = "is the active version" if self.active else "no version is active yet"
            raise InputError(f"{name} as {role}: {how}; promote one as active first that it stands beside")
        if role == CANARY and not 0 < share <= 1:
            raise InputError(f"--share {share:g}: expected more than 0, and 1 at most")
        if role == ACTIVE and name != self.active:
            before = (*self.history, self.active) if self.active else self.history
            return self.without(name).with_active(name, before)
        if role == ACTIVE:
            return self
        freed = self.without(name)
        if role == SHADOW:
            return dataclasses.replace(freed, shadow=name)
        return dataclasses.replace(freed, canary=name, share=share)

    def with_active(self, name: str, history: tuple[str, ...]) -> "State":
        """Return the state in which `name` answers, after those of a history."""
        return dataclasses.replace(self, active=name, history=history[-REMEMBERED:])

    def without(self, name: str) -> "State":
        """Return the state in which a version is neither canary nor shadow."""
        shadow = "" if self.shadow == name else self.shadow
        if self.canary != name:
            return dataclasses.replace(self, shadow=shadow)
        return dataclasses.replace(self, canary="", share=0.0, shadow=shadow)


def checked_name(name: str) -> str:
    """Return a name that may stand in a path. Raises InputError of any other."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"version {name[:80]!r}: expected a name of at most 64 letters, digits, dots, dashes and "
            "underscores that begins with a letter or digit"
        )
    return name


def write_state(folder: Path, state: State) -> None:
    """Write `store.json`, whole or not at all."""
    canary = {"version": state.canary, "share": state.share} if state.canary else None
    write_json(
        folder / FILE,
        {
            "format": FORMAT,
            "active": state.active or None,
            "canary": canary,
            "shadow": state.shadow or None,
            "history": list(state.history),
        },
    )


def read_state(folder: Path) -> State:
    """Read `store.json`. Raises InputError where it is missing, damaged, or not what `write_state` wrote."""
    path = folder / FILE
    held = read_json(path, _ADVICE)
    if held.get("format") != FORMAT:
        raise InputError(f"{path}: has format {held.get('format')!r}, this version reads {FORMAT}")
    canary: Any = held.get("canary") or {}
    history: Any = held.get("history", [])
    names = [held.get("active"), held.get("shadow")]
    if not isinstance(canary, dict) or not isinstance(history, list):
        raise InputError(f"{path}: canary or history is not as it was written; {_ADVICE}")
    names += [canary.get("version"), *history]
    share = canary.get("share", 0.0)
    if any(name is not None and not isinstance(name, str) for name in names) or type(share) not in (
        int,
        float,
    ):
        raise InputError(f"{path}: names or the share are of another type; {_ADVICE}")
    active, shadow, tried, *before = [checked_name(name) if name else "" for name in names]
    if not 0 <= share <= 1:
        raise InputError(f"{path}: share {share}, expected 0 to 1; {_ADVICE}")
    return State(active, tried, float(share), shadow, tuple(before))
