"""Every image file is opened and decoded once before training, so that none fails in its middle."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from imgrec.data.decode import checked_header, decode_checked
from imgrec.data.preprocess import read_file
from imgrec.errors import InputError


@dataclass(frozen=True)
class FileFacts:
    """What one file holds: upright height and width, whether it is stored as grey, sha256 of its bytes."""

    height: int
    width: int
    grey: bool
    sha256: str


def check_files(paths: Sequence[str], names: Sequence[str], max_pixels: int) -> list[FileFacts]:
    """Decode every file on all cores and return what was found, in order.

    Args:
        paths: the files.
        names: what to call them in messages, `[N]`.
        max_pixels: the most pixels a file may have.

    Raises:
        InputError: a file cannot be read, decoded or is too large: the first one is named with its
            reason, and the number of others given.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(lambda path, name: _check(path, name, max_pixels), paths, names))
    faults = [outcome for outcome in outcomes if isinstance(outcome, InputError)]
    if faults:
        others = f" (and {len(faults) - 1} more such files)" if len(faults) > 1 else ""
        raise InputError(f"{faults[0]}{others}")
    return [outcome for outcome in outcomes if isinstance(outcome, FileFacts)]


def _check(path: str, name: str, max_pixels: int) -> FileFacts | InputError:
    try:
        data = read_file(path)
        header = checked_header(data, max_pixels, name)
        grey = decode_checked(data, header, name).shape[-1] == 1 or header.channels <= 2
    except InputError as fault:
        return fault
    height, width = header.upright
    return FileFacts(height, width, grey, hashlib.sha256(data).hexdigest())
