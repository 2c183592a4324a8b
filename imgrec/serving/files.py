"""The image files that a user means by some paths."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from imgrec.data.header import SUPPORTED
from imgrec.errors import InputError


def find_images(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the image files named or lying in the folders named, and the other files found there.

    A file that is named is taken whatever its name ends in.

    Raises:
        InputError: nothing named, a path that does not exist, or a folder without an image.
    """
    if not paths:
        raise InputError("no image named: expected image files or folders, such as photo.jpg")
    files: list[Path] = []
    skipped: list[Path] = []
    for path in paths:
        if path.is_dir():
            within = sorted(
                Path(top, name) for top, _, names in os.walk(path, onerror=_stop) for name in names
            )
            images = [f for f in within if f.suffix.lower() in SUPPORTED and not f.name.startswith(".")]
            if not images:
                kinds = " ".join(sorted(SUPPORTED))
                raise InputError(
                    f"{path}: no image among the {len(within)} files of this folder; expected {kinds}"
                )
            files += images
            skipped += sorted(set(within) - set(images))
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    if skipped:
        print(f"skipped, no image by name: {_some(skipped)}", file=sys.stderr)
    return files, skipped


def _stop(error: OSError) -> NoReturn:
    """Say which folder cannot be listed, instead of passing it over."""
    raise InputError(f"{error.filename}: {error.strerror}")


def _some(paths: Sequence[Path], shown: int = 3) -> str:
    """Return the first names of a list, and how many more there are."""
    more = f" and {len(paths) - shown} more" if len(paths) > shown else ""
    return ", ".join(map(str, paths[:shown])) + more
