"""Name → entry, with an error that helps when the name is unknown."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from imgrec.errors import InputError

T = TypeVar("T")


def nearest(name: str, known: list[str], count: int = 3) -> list[str]:
    """The entries of `known` that look most like `name`, best first; may be empty."""
    return difflib.get_close_matches(name.lower(), known, n=count, cutoff=0.5)


def lookup(table: Mapping[str, T], name: str, kind: str = "name") -> T:
    """Return `table[name]`.

    Raises:
        InputError: `name` is not in `table`; the message lists the nearest and all known names.
    """
    if name in table:
        return table[name]
    known = sorted(table)
    close = nearest(name, known)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise InputError(f"unknown {kind} {name!r}: {hint}known: {', '.join(known)}")
