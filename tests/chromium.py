"""Pages in Chromium, driven over its DevTools pipe: what they say, ask for and look like.

https://chromedevtools.github.io/devtools-protocol/ has the commands; a message is JSON that a zero byte ends.
"""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
SWITCHES += ["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"]
PATIENCE = 60.0
needed = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: pages were not looked at in a browser")


class Browser:
    """One Chromium, which can reach no host but `reach`, and its one tab.

    asked: request → address that the tab asked for, but those within the page (`data:`) and those that the
        page's own policy stopped.
    complaints: errors of scripts and of the page, and what its policy refused.
    """

    def __init__(self, folder: Path, reach: str = "") -> None:
        ours, theirs = os.pipe(), os.pipe()
        # High numbers, so that neither is in the way of 3 and 4, which Chromium reads and writes.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (ours[0], theirs[1])]
        offline = "--host-resolver-rules=MAP * ~NOTFOUND" + (f", EXCLUDE {reach}" if reach else "")
        words = [
            CHROMIUM,
            *SWITCHES,
            offline,
            "--remote-debugging-pipe",
            f"--user-data-dir={folder / 'profile'}",
        ]
        shell = [
            "sh",
            "-c",
            f'exec "$@" 3</dev/fd/{ends[0]} 4>/dev/fd/{ends[1]}',
            "sh",
            *words,
            "about:blank",
        ]
        with open(folder / "chromium.log", "wb") as log:
            self._process = subprocess.Popen(
                shell, pass_fds=ends, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        for fd in (*ends, ours[0], theirs[1]):
            os.close(fd)
        self._write, self._read = ours[1], theirs[0]
        self._rest, self._number, self._session = b"", 0, ""
        self.asked: dict[str, str] = {}
        self.complaints: list[str] = []

    def __enter__(self) -> "Browser":
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Page", "Runtime", "Network", "Log"):
            self.do(f"{room}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._write)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
        os.close(self._read)

    def do(self, method: str, **values: Any) -> Any:
        """Give a command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (said := self._next()).get("id") != self._number:
            self._heard(said)
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']['message']}")
        return said["result"]

    def until(self, event: str) -> None:
        """Wait for an event."""
        while (said := self._next()).get("method") != event:
            self._heard(said)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            more = os.read(self._read, 1 << 20) if ready else b""
            if not more:
                raise TimeoutError("Chromium says nothing: see chromium.log")
            self._rest += more
        first, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(first)
        return found

    def _heard(self, said: dict[str, Any]) -> None:
        values = said.get("params", {})
        match said.get("method"):
            case "Network.requestWillBeSent":
                url = values["request"]["url"]
                self.asked |= {} if url.startswith("data:") else {values["requestId"]: url}
            case "Network.loadingFailed" if values.get("blockedReason") == "csp":
                self.asked.pop(values["requestId"], None)
            case "Runtime.exceptionThrown":
                facts = values["exceptionDetails"]
                self.complaints.append(facts.get("exception", {}).get("description", facts["text"]))
            case "Log.entryAdded":
                self.complaints.append(values["entry"]["text"])
            case "Runtime.consoleAPICalled":
                self.complaints += [str(each.get("value")) for each in values["args"]]

    def open(self, page: Path | str, width: int = 1280, *, dark: bool = False, script: bool = True) -> None:
        """Show a file or an address, on a screen of this width, as a reader of this scheme sees it."""
        phone = width < 600
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self.do("Emulation.setScriptExecutionDisabled", value=not script)
        self.do("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        self.until("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression is in the page."""
        found = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """Click in the middle of the first element that a selector finds, by the mouse."""
        place = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', inline: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.do(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    def press(self, key: str) -> None:
        """Press a key, such as `Enter`."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        self.do("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.do("Input.dispatchKeyEvent", type="keyUp", key=key)

    def decode(self) -> None:
        """Wait until all images are read."""
        self.value("Promise.all([...document.images].map(image => image.decode())).then(() => 0)")

    def picture(self, path: Path) -> None:
        """Write a PNG of the whole page."""
        self.decode()
        size = self.do("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.do("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))


def look(page: Path, folder: Path) -> None:
    """Write pictures of a page into a folder: of a desktop and a phone, in light and in dark."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        for width, dark in itertools.product((1280, 400), (False, True)):
            browser.open(page.resolve(), width, dark=dark)
            browser.picture(folder / f"{width}-{'dark' if dark else 'light'}.png")
        print(*browser.asked.values(), *browser.complaints, sep="\n")


if __name__ == "__main__":  # python tests/chromium.py report/index.html pictures/
    look(Path(sys.argv[1]), Path(sys.argv[2]))
