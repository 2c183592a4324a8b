"""What libjpeg and libpng print of a file, such as `libpng warning: iCCP: known incorrect sRGB profile`.

They write from C and name no file. While they decode, C's `stderr` is another stream, of `/dev/null`; file
descriptor 2 and `sys.stderr` stay as they are, so that nothing that Python says is lost, whichever thread
says it. What the lines say of damage the audit hears: its workers decode without this.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Stream:
    """C's variable `stderr`, shared by all threads that decode."""

    def __init__(self) -> None:
        self._variable: ctypes.c_void_p | None = None
        # Elsewhere it is no variable that may be changed: a constant in musl, a function in Windows.
        name = "__stderrp" if sys.platform == "darwin" else "stderr"
        if sys.platform == "darwin" or "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", ()):
            library = ctypes.CDLL(None)
            library.fopen.restype = ctypes.c_void_p
            self._variable = ctypes.c_void_p.in_dll(library, name)
            self._own, self._null = self._variable.value, library.fopen(os.devnull.encode(), b"w")
            os.register_at_fork(after_in_child=self._reset)
        self._reset()

    def _reset(self) -> None:
        self._lock, self._decoding = threading.Lock(), 0
        if self._variable is not None:
            self._variable.value = self._own

    def count(self, change: int) -> None:
        """One thread more or less that decodes."""
        with self._lock:
            self._decoding += change
            if self._variable is not None:
                self._variable.value = self._null if self._decoding else self._own


_STREAM = _Stream()


@contextmanager
def unsaid() -> Iterator[None]:
    """Keep what C libraries print on standard error from it."""
    _STREAM.count(1)
    try:
        yield
    finally:
        _STREAM.count(-1)
