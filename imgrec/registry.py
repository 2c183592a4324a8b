"""Name → entry, with an error that helps when the name is unknown."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from imgrec.errors import InputError

T = TypeVar("T")


def lookup(table: Mapping[str, T], name: str, kind: str = "name") -> T:
    """Return `table[name]`.

    Raises:
        InputError: `name` is not in `table`; the message lists the nearest and all known names.
    """
    if name in table:
        return table[name]
    known = sorted(table)
    close = difflib.get_close_matches(name.lower(), known, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise InputError(f"unknown {kind} {name!r}: {hint}known: {', '.join(known)}")


def check_options(
    table: Mapping[str, Callable[..., T]],
    name: str,
    kind: str,
    options: Mapping[str, Any],
    given: Iterable[str] = (),
) -> Callable[..., T]:
    """Return `table[name]`, whose parameters, but those in `given`, a user may name as options.

    Raises:
        InputError: `name` is not in `table`, or an option no parameter of what stands there.
    """
    builder = lookup(table, name, kind)
    known = {p: p for p in inspect.signature(builder).parameters if p not in given and p != "name"}
    for option in options:
        if not known:
            raise InputError(f"{kind} {name!r} takes no options, got {option!r}")
        lookup(known, option, f"option of {kind} {name}")
    return builder


def build(
    table: Mapping[str, Callable[..., T]], name: str, kind: str, options: Mapping[str, Any], **given: Any
) -> T:
    """Return `table[name]`, called with `options`, which a user gave, and with `given`, which he cannot give.

    Raises:
        InputError: as `check_options`.
    """
    return check_options(table, name, kind, options, given)(**given, **options)
