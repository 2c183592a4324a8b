"""The listening socket: bound before anything slow is done, and closed without a lost client."""

import contextlib
import ctypes
import resource
import socket
import struct
import sys
from collections.abc import Sequence

from imgrec.errors import InputError

_ATTACH_FILTER = 26  # Linux's SO_ATTACH_FILTER, which Python's socket module does not name
# Load the byte of TCP's flags; if SYN is set drop the packet, else let it through.
_NO_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that is bound and does not listen yet; 0 takes a free port.

    Raises:
        InputError: the address is not this machine's, or taken.
    """
    _raise_open_files()
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host}: not an address of this machine ({error})") from None
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(f"--host {host} --port {port}: {error}; give another --port") from None
    return listener


def _raise_open_files() -> None:
    """Allow as many open connections as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def turn_away(listeners: Sequence[socket.socket]) -> None:
    """Let no new client connect, while those who do just now still come through; on Linux.

    Closing a listener resets whoever the system has connected and nobody has taken. A packet filter keeps new
    ones from getting that far: they try again a second later, and are then refused.
    """
    if sys.platform != "linux":
        return
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _NO_SYN))
    program = struct.pack("HL", len(_NO_SYN), ctypes.addressof(code))
    for listener in listeners:
        with contextlib.suppress(PermissionError):  # a sandbox for users that aren't root may forbid it
            listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)


def waiting_at(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Return the clients that are connected and were not yet taken."""
    clients = []
    for listener in listeners:
        with contextlib.suppress(BlockingIOError):
            while True:
                clients.append(listener.accept()[0])
    return clients
