"""What a request may cost, and who may send one."""

import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from imgrec.errors import InputError

TOKEN = "IMGREC_TOKEN"
"""Environment variable with the bearer token; a command line would show it to every user of the machine."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the server.

    bytes: of a body.
    held: bytes of all bodies that are in memory at once.
    waiting: requests in the queue.
    seconds: from a request's last byte to its answer.
    sending: seconds from a request's first byte to its last, and of a connection without a request.
    headers, header_bytes: of a request.
    connections: open at once.
    """

    bytes: int = 10 << 20
    held: int = 256 << 20
    waiting: int = 128
    seconds: float = 10.0
    sending: float = 10.0
    headers: int = 100
    header_bytes: int = 32 << 10
    connections: int = 1000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"limit of {name}: {value}, expected more than 0")
        if self.bytes > min(self.held, 1 << 31):
            raise InputError(f"--max-bytes {self.bytes}: expected {min(self.held, 1 << 31):,} at most")


class Token:
    """The secret that requests bear; none asks for none."""

    def __init__(self, secret: str) -> None:
        self._expected = f"Bearer {secret}".encode() if secret else b""

    def admits(self, authorization: bytes) -> bool:
        """Whether a request with this header may go on; takes as long for every wrong one."""
        return not self._expected or hmac.compare_digest(self._expected, authorization)

    @property
    def asked(self) -> bool:
        """Whether there is one."""
        return bool(self._expected)

    @classmethod
    def of(cls, file: Path) -> "Token":
        """Read the first line of a file, or for `Path()` the environment.

        Raises:
            InputError: the file cannot be read, or the secret is short or no plain ASCII.
        """
        where = f"--token-file {file}" if file != Path() else TOKEN
        try:
            secret = os.environ.get(TOKEN, "") if file == Path() else file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{where}: cannot be read ({error})") from None
        if (secret or file != Path()) and not (
            len(secret) >= 16 and secret.isascii() and secret.isprintable()
        ):
            raise InputError(f"{where}: expected a secret of one line, 16 ASCII characters or more")
        return cls(secret)
