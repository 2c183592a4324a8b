"""What shows that a hostile file was obeyed: a file its payload makes, and a listener to Python's audit."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORBIDDEN = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "pickle.find_class",
}
"""Audit events that no loading of a model may cause."""
_heard: list[str] = []
_state: dict[str, Any] = {"on": False, "secret": None}


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if _state["on"] and (
        event in FORBIDDEN or (event == "open" and str(arguments[0]) == str(_state["secret"]))
    ):
        _heard.append(f"{event}{arguments!r:.200}")


sys.addaudithook(_listen)


@contextmanager
def silence(canary: Path, secret: Path) -> Iterator[None]:
    """Assert that nothing is executed, nothing connected to, `secret` not opened, `canary` not made."""
    _heard.clear()
    _state.update(on=True, secret=secret)
    try:
        yield
    finally:
        _state["on"] = False
    assert not _heard, _heard
    assert not canary.exists()
