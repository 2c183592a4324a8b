"""A server in a process of its own, as a user starts it."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """A server that has said that it is ready."""

    process: "subprocess.Popen[str]"
    port: int
    first: str
    errors: Path

    def ask(
        self, path: str, body: bytes | None = None, method: str = "", **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request on a connection of its own; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def json(self, path: str, body: bytes | None = None, **headers: str) -> Any:
        """As `ask`; return what an answer with status 200 holds."""
        status, _, said = self.ask(path, body, **headers)
        assert status == 200, said
        return json.loads(said)

    def workers(self) -> list[int]:
        """The workers' process ids: the server's children."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [child for child in map(int, listed) if b"serving.worker" in command_of(child)]

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM; return the exit code and the last line."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out.strip().splitlines()[-1]


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@contextlib.contextmanager
def serving(run: Path, errors: Path, *words: str, code: str = "", **environment: str) -> Iterator[Running]:
    """Serve on a free port, by the command or by `code`; whatever happens, the server has ended after it."""
    command = ["-m", "pipelines.serve", "--run", str(run), "--port", "0", *words]
    with open(errors, "w") as log:
        process = subprocess.Popen(
            [sys.executable, *(["-c", code] if code else command)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://[^ ]*:(\d+)$", first.strip())
        assert found, (first, errors.read_text())
        yield Running(process, int(found[1]), first, errors)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def png(pixels: np.ndarray) -> bytes:
    """A picture, uint8 RGB `[h, w, 3]`, as a PNG file."""
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
