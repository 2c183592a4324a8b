"""Folders `<name>/<version>/`, as model servers take them."""

from pathlib import Path

from imgrec.errors import InputError

VERSION = "1"
"""What an export is numbered."""


def newest(path: Path) -> Path:
    """Return the version folder with the highest number.

    Raises:
        InputError: there is none.
    """
    within = path.iterdir() if path.is_dir() else ()
    versions = [each for each in within if each.is_dir() and each.name.isdecimal()]
    if not versions:
        raise InputError(f"{path}: no folder of a version, such as {path}/{VERSION}")
    return max(versions, key=lambda each: int(each.name))


def texts_in(folder: Path) -> dict[str, str]:
    """Return the texts that lie in a folder, by name."""
    found = (each for each in sorted(folder.glob("*")) if each.suffix in (".txt", ".json"))
    return {each.name: each.read_text(encoding="utf-8") for each in found if each.is_file()}
