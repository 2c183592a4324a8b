"""An `.npz` file that somebody else may have written: read without pickle, and no larger than it may be."""

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError),
    *(ValueError, TypeError, SyntaxError, KeyError, EOFError, MemoryError, tokenize.TokenError),
)
"""What reading a damaged file may raise: heads are Python's literals, and may name more than there is."""


def read_arrays(path: Path, most_bytes: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by their names; a member that is no array is left out.

    Args:
        path: of the file.
        most_bytes: that all members may take, unpacked.

    Raises:
        InputError: the file cannot be read, needs pickle, or is larger.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > most_bytes:
                raise InputError(f"{path}: more than {most_bytes:,} bytes inside; restore the folder")
        with np.load(path, allow_pickle=False) as arrays:
            # A member that is no array comes as bytes.
            return {name: part for name in arrays.files if isinstance(part := arrays[name], np.ndarray)}
    except _DAMAGE as error:
        raise InputError(f"{path}: cannot be read ({error}); restore the folder") from None
