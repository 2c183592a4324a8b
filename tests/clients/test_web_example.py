"""(slow) `examples/web` in Chromium: pictures dropped on the page, its answers posted to the test."""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shipped_runs import Ranked, Shipped, predicted

HERE = Path(__file__).parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
PICTURES = 50
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM or not shutil.which("npm"), reason="no Chromium or no npm here"),
]


class Handler(SimpleHTTPRequestHandler):
    """The example's folder, the test's page and pictures, and a place to post to."""

    said: "queue.SimpleQueue[Any]"
    pictures: Path
    asked_elsewhere: list[str]

    def translate_path(self, path: str) -> str:
        if path.startswith("/pictures/"):
            return str(self.pictures / Path(path).name)
        return str(HERE / "drive.html") if path == "/drive.html" else super().translate_path(path)

    def do_GET(self) -> None:
        if self.path != "/pictures/":
            return super().do_GET()
        names = sorted(path.name for path in self.pictures.iterdir())[:PICTURES]
        self._answer(json.dumps(names).encode())

    def do_POST(self) -> None:
        self.said.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"{}")

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def in_chromium(web: Path, file: Path | None, pictures: Path, folder: Path) -> Any:
    """Return what the page posts, with `file` as its model.tflite."""
    (web / "model.tflite").unlink(missing_ok=True)
    if file:
        shutil.copy(file, web / "model.tflite")
    handler = type("Served", (Handler,), {"said": queue.SimpleQueue(), "pictures": pictures})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(web))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/drive.html"
        # No network but this server: the page has all that it needs.
        offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        words = [CHROMIUM, *SWITCHES, offline, f"--user-data-dir={folder / 'profile'}", address]
        with open(folder / "chromium.log", "wb") as log:
            browser = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            return handler.said.get(timeout=240)
        finally:
            os.killpg(browser.pid, signal.SIGTERM)
            browser.wait(timeout=30)
            server.shutdown()


def ranks(said: Any) -> dict[str, Ranked]:
    assert "error" not in said, said["error"]
    return {name: [(label, value) for label, value in rows] for name, rows in said["answers"].items()}


def compared(ours: dict[str, Ranked], theirs: dict[str, Ranked]) -> tuple[int, float]:
    """On how many pictures the first class is the same, and how far a probability is away at most."""
    assert len(theirs) == PICTURES
    same = sum(theirs[name][0][0] == ours[name][0][0] for name in theirs)
    apart = max(abs(dict(ours[name])[label] - p) for name, rows in theirs.items() for label, p in rows)
    return same, apart


@pytest.mark.parametrize("kind", ["own", "other"])
@pytest.mark.parametrize("name", ["grey", "colour", "several"])
def test_it_answers_as_predict(
    web: Path, name: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whatever the picture's size: the page resizes as training does, in whole numbers."""
    shipped: Shipped = request.getfixturevalue(name)
    pictures = getattr(shipped, kind)
    for file in sorted(shipped.exports.glob("*.tflite")):
        said = in_chromium(web, file, pictures, tmp_path)
        same, apart = compared(predicted(file, pictures), ranks(said))
        assert same == PICTURES and apart < 1e-4
        classes = len((shipped.exports / "labels.txt").read_text(encoding="utf-8").splitlines())
        assert said["status"].startswith(f"model.tflite: {classes} classes")
