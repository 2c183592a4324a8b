"""TensorFlow, Keras and LiteRT without the lines that they print of themselves."""

import contextlib
import faulthandler
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

BANNERS = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|(\d{4}-\d\d-\d\d )?[\d:.]+: [IW] |[IW]\d{4} [\d:.]+ "  # of level information or warning
    rb"|.*(Unable to register cu\w+ factory|computation placer already registered)"
    rb"|To enable the following instructions: "
    rb"|INFO: (Created|Initialized|Applying) .*TensorFlow Lite"
)
WITHOUT_GPU = re.compile(rb".*(failed call to cuInit|Could not find cuda drivers)")
"""What an error is only where there is a GPU."""
OPTIONAL = ("sklearn", "pandas", "jax")
"""What Keras and TensorFlow import where it is installed, for features of theirs that nobody here uses: two
fifths of the time that their import takes."""


def import_frameworks() -> None:
    """Import TensorFlow and Keras, and find the devices, without banners.

    All is shown where the import fails, and where the user set TF_CPP_MIN_LOG_LEVEL to 0.
    """
    if {"keras", "tensorflow"} <= set(sys.modules):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    optional = [name for name in OPTIONAL if name != keras_backend()]
    with without_banners(), unseen(optional):
        import keras  # noqa: F401 - imports its backend, TensorFlow
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def unseen(names: Sequence[str]) -> Iterator[None]:
    """Let packages seem not to be installed; afterwards they are there as before."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None: Python's way to refuse one
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def keras_backend() -> str:
    """The backend that Keras would take: its variable, else its file, else TensorFlow."""
    named = os.environ.get("KERAS_BACKEND")
    home = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))
    try:
        held = json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError):
        held = None
    return named or held or "tensorflow"


@contextlib.contextmanager
def without_banners() -> Iterator[None]:
    """Hold back what is written to standard error, and show it afterwards without known banners.

    All is shown after an exception. Where the process dies meanwhile, Python's own report of that is shown.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    with contextlib.suppress(AttributeError, ValueError):
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    reports = not faulthandler.is_enabled()
    failed = True
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)  # the lines come from C++, past sys.stderr
        if reports:
            faulthandler.enable(kept)
        try:
            yield
            failed = False
        finally:
            if reports:
                faulthandler.disable()
            with contextlib.suppress(AttributeError, ValueError):
                sys.stderr.flush()
            os.dup2(kept, 2)
            said.seek(0)
            lines = said.readlines()
            for line in lines if failed else remarks(lines):
                os.write(kept, line)
            os.close(kept)


def remarks(lines: list[bytes]) -> list[bytes]:
    """Leave out the banners."""
    has_gpu = Path("/dev/nvidiactl").exists()
    return [
        line
        for line in lines
        if line.strip() and not BANNERS.match(line) and (has_gpu or not WITHOUT_GPU.match(line))
    ]
