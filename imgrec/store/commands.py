"""What one asks of a store on the command line."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from imgrec.store.store import Listed, Store

Role = Annotated[Literal["active", "canary", "shadow"], tyro.conf.arg(name="as")]
Json = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class Add:
    """Copy a finished run into a store, which is made where there is none."""

    store: Positional[Path]
    """Folder of the store."""
    run: Positional[Path]
    """A run folder; or a file in its exports/, which then is what answers."""
    name: str = ""
    """Of the version; by default the run's."""
    golden: str = "auto"
    """Folder of pictures whose answers are kept, and asked for again before the version serves. drawn:
    made-up ones. auto: a dozen of the run's test images, which are copied into the store, if they are still
    there, else drawn."""
    json: Json = False
    """Print JSON."""


@dataclass(frozen=True)
class Promote:
    """Give a version a role."""

    store: Positional[Path]
    """Folder of the store."""
    name: Positional[str]
    """Of the version."""
    role: Role = "active"
    """active: it answers; canary: it answers a share of the clients; shadow: it is asked, nobody gets its
    answers."""
    share: float = 0.1
    """Of the keys (header X-Key, else the request's id) that a canary answers, 0 to 1; a key stays with
    one."""
    json: Json = False
    """Print JSON."""


@dataclass(frozen=True)
class Rollback:
    """Let the version before the active one answer again; or end a canary or a shadow."""

    store: Positional[Path]
    """Folder of the store."""
    role: Role = "active"
    """active: go back; canary, shadow: take that role from the version that has it."""
    json: Json = False
    """Print JSON."""


@dataclass(frozen=True)
class Remove:
    """Delete a version that has no role."""

    store: Positional[Path]
    """Folder of the store."""
    name: Positional[str]
    """Of the version."""
    json: Json = False
    """Print JSON."""


@dataclass(frozen=True)
class List:
    """Show the versions, their roles, and which of them a server refused."""

    store: Positional[Path]
    """Folder of the store."""
    json: Json = False
    """Print JSON."""


Command = Add | Promote | Rollback | Remove | List


def carry_out(asked: Command) -> tuple[dict[str, Any], list[str]]:
    """Do what is asked; return it for programs, and the lines for people, the last of which says where it is.

    Raises:
        InputError: as the methods of `Store`.
    """
    made = Store.create(asked.store) if isinstance(asked, Add) else Store.open(asked.store)
    return _ACTIONS[type(asked)](made, asked)


def _add(store: Store, asked: Add) -> tuple[dict[str, Any], list[str]]:
    name = store.add(asked.run, asked.name, asked.golden)
    entry = store.entry(name)
    return asdict(entry), [
        f"{name}: {entry.digest[:12]}, golden pictures: {entry.pictures}",
        f"next: python -m pipelines.store promote {store.path} {name}",
        f"done: {store.folder(name)}",
    ]


def _promote(store: Store, asked: Promote) -> tuple[dict[str, Any], list[str]]:
    store.promote(asked.name, asked.role, asked.share)
    return _roles(store)


def _rollback(store: Store, asked: Rollback) -> tuple[dict[str, Any], list[str]]:
    store.rollback(asked.role)
    return _roles(store)


def _remove(store: Store, asked: Remove) -> tuple[dict[str, Any], list[str]]:
    store.remove(asked.name)
    return _roles(store)


def _roles(store: Store) -> tuple[dict[str, Any], list[str]]:
    state = store.state
    share = f" ({state.share:.3g} of the keys)" if state.canary else ""
    lines = [f"{role}: {name}{share if role == 'canary' else ''}" for role, name in state.roles().items()]
    return asdict(state), [*lines, f"done: {store.path / 'store.json'}"]


def _list(store: Store, asked: List) -> tuple[dict[str, Any], list[str]]:
    rows = store.listed()
    lost = sorted(set(store.names()) - {row.entry.name for row in rows})
    lines = [
        _row("VERSION", "ROLE", "SHA256", "ADDED"),
        *map(_line, rows),
        *(_row(name, "", "", "cannot be read; remove it") for name in lost),
    ]
    versions = [{**asdict(row.entry), "role": row.role, "refused": row.refused} for row in rows]
    state = asdict(store.state)
    return {"state": state, "versions": versions}, [*lines, f"done: {store.path} ({len(rows)} versions)"]


def _row(*cells: str) -> str:
    return f"{cells[0]:24} {cells[1]:8} {cells[2]:12}  {cells[3]}"


def _line(row: Listed) -> str:
    entry = row.entry
    refused = f"  refused: {row.refused}" if row.refused else ""
    return _row(entry.name, row.role, entry.digest[:12], entry.added[:19].replace("T", " ")) + refused


_ACTIONS: dict[type[Command], Callable[[Store, Any], tuple[dict[str, Any], list[str]]]] = {
    Add: _add,
    Promote: _promote,
    Rollback: _rollback,
    Remove: _remove,
    List: _list,
}
