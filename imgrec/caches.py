"""Where results are kept that may be computed again: one folder, which can always be written."""

import contextlib
import functools
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgrec.errors import InputError


@dataclass(frozen=True)
class Caches:
    """The folder of all caches, and why it is not the one that was asked for first."""

    root: Path
    refused: str = ""
    """Which folder could not be written, and why; empty where the first could."""


def cache_folder(kind: str) -> Path:
    """Return where results of one kind are kept: `<kind>` in the folder that `locate` finds.

    Files there may be deleted at any time; they are computed again. Where it is a temporary folder, one line
    on standard error says so, once.

    Raises:
        InputError: there is not even a temporary folder that can be written.
    """
    found = locate()
    if found.refused:
        _say(found)
    return found.root / kind


@functools.cache
def _say(found: Caches) -> None:
    print(f"note: {found.refused}: caches are kept in {found.root}", file=sys.stderr, flush=True)


def locate() -> Caches:
    """Find the folder of the caches: `$XDG_CACHE_HOME/imgrec`, else `~/.cache/imgrec`, else a temporary one.

    The temporary one is this user's alone (mode 0700), and the same in the next process.

    Raises:
        InputError: there is not even a temporary folder that can be written.
    """
    return _locate(os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", ""))


@functools.cache
def _locate(named: str, home: str) -> Caches:
    """`locate` for two values of the environment."""
    refused = []
    for base in _bases(named):
        folder = base / "imgrec"
        try:
            _prove(folder)
        except OSError as error:
            refused.append(f"{folder} cannot be written ({error.strerror})")
        else:
            return Caches(folder, "; ".join(refused))
    return Caches(_temporary(), "; ".join(refused) or "there is no home folder")


def _bases(named: str) -> Iterator[Path]:
    """Where caches belong, the first choice first; a relative XDG_CACHE_HOME counts for nothing."""
    if os.path.isabs(named):
        yield Path(named)
    home = os.path.expanduser("~")  # stays "~" where neither HOME nor the user is known
    if os.path.isabs(home):
        yield Path(home, ".cache")


def _prove(folder: Path) -> None:
    """Make a folder and a file in it.

    Raises:
        OSError: that is not possible.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _temporary() -> Path:
    """Return this user's folder among the temporary ones, or a new one where that name is another's."""
    try:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"imgrec-{user}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        held = folder.lstat()
        ours = stat.S_ISDIR(held.st_mode) and (os.name == "nt" or held.st_uid == user)
        if ours and not held.st_mode & 0o077:
            _prove(folder)
            return folder
        return Path(tempfile.mkdtemp(prefix="imgrec-"))  # nobody may plant files that we would read
    except OSError as error:
        raise InputError(
            f"no place for caches and temporary files ({error.strerror}): name a folder that can be written "
            "by TMPDIR"
        ) from None


def settle_others() -> None:
    """Name folders for Keras and matplotlib, which look in the home, where the home cannot be written.

    Otherwise matplotlib makes a temporary folder and reads all fonts, with a warning, in every process.
    Processes that are started later find the same folders.
    """
    home = os.path.expanduser("~")
    if os.path.isabs(home) and os.access(home, os.W_OK):
        return
    found = locate()
    for name, part in {"MPLCONFIGDIR": "matplotlib", "KERAS_HOME": "keras"}.items():
        if name not in os.environ:
            (found.root / part).mkdir(parents=True, exist_ok=True)
            os.environ[name] = str(found.root / part)
