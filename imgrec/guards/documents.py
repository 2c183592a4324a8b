"""JSON from files that somebody else may have written."""

import json
from pathlib import Path
from typing import Any

from imgrec.errors import InputError

MOST_BYTES = 64 << 20
"""No description of a run is as large."""


def read_json(path: Path, advice: str = "restore the folder") -> dict[str, Any]:
    """Return the mapping that a JSON file holds.

    Raises:
        InputError: the file cannot be read, is no JSON mapping, is far too large or nested too deeply, or
            names a key twice, of which readers take one or the other.
    """
    return parse(read_text(path, advice), str(path), advice)


def read_text(path: Path, advice: str = "restore the folder") -> str:
    """Return the text of a file. Raises InputError where it cannot be read, is no UTF-8 or far too large."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes, expected {MOST_BYTES} at most; {advice}")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; {advice}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: damaged, expected UTF-8; {advice}") from None


def parse(text: str, name: str, advice: str = "restore the folder") -> dict[str, Any]:
    """As `read_json`, of a text that was read already; `name` stands in messages."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise InputError(f"{name}: nested too deeply; {advice}") from None
    except ValueError as error:
        raise InputError(f"{name}: damaged, expected JSON ({error}); {advice}") from None
    if not isinstance(value, dict):
        raise InputError(f"{name}: holds a {type(value).__name__}, expected a mapping; {advice}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{max(names, key=names.count)!r} is there twice")
    return held
