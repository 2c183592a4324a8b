"""One rule for the names of classes, whatever source they come from."""

import unicodedata
from collections.abc import Iterable, Mapping

from imgrec.errors import InputError

# Control characters, halves of characters, line separators: labels.txt has one name a line.
_UNFIT = {"Cc", "Cs", "Zl", "Zp"}


def unified(names: Iterable[str], what: str) -> dict[str, str]:
    """Return each name as it is written → as it is used: composed (NFC), and without blanks around it.

    Args:
        names: of the classes, in order.
        what: where they stand, for messages.

    Raises:
        InputError: a name that is empty or holds control characters, or two that become one.
    """
    used: dict[str, str] = {}
    written: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFC", name).strip()
        if any(unicodedata.category(character) in _UNFIT for character in name):
            raise InputError(
                f"{what}: the class name {name!a} holds control characters or broken text; rename it"
            )
        if not plain:
            raise InputError(f"{what}: the class name {name!r} is {'blank' if name else 'empty'}; rename it")
        if plain in written:
            raise InputError(_twins(written[plain], name, what))
        used[name] = plain
        written[plain] = name
    return used


def _twins(one: str, other: str, what: str) -> str:
    if one == other:
        return f"{what}: the class name {one!r} stands there twice; name each class once"
    return (
        f"{what}: the class names {one!a} and {other!a} are one name but for blanks around it or "
        "how its accents are stored; join the two, or rename one"
    )


def trimmed(tables: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return a note on the names that lost blanks, of what `unified` gave; nothing where none did."""
    names = {name for table in tables for name in table if name != name.strip()}
    listed = ", ".join(repr(name) for name in sorted(names)[:5]) + (" …" if len(names) > 5 else "")
    return (f"class names are used without the blanks around them: {listed}",) if names else ()
