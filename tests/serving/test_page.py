"""The page at `/` in Chromium: pictures chosen, dropped and refused; a phone; a token; nobody else asked."""

import base64
import json
import time
from pathlib import Path

import pytest
from chromium import Browser, needed
from linear import LABELS, pictures, reference, write_companions
from servers import Running, png, serving

from imgrec import bundle, files
from imgrec.data.preprocess import Preprocess
from imgrec.serving import openapi

pytestmark = needed


def text(browser: Browser, name: str) -> str:
    """What an element shows, empty where it is hidden."""
    return str(
        browser.value(f"(e => e.checkVisibility() ? e.textContent : '')(document.getElementById('{name}'))")
    )


def wait(browser: Browser, name: str, words: str) -> str:
    end = time.monotonic() + 30
    while words not in (found := text(browser, name)):
        assert time.monotonic() < end, (found, text(browser, "status"))
        time.sleep(0.05)
    return found


def choose(browser: Browser, file: Path, element: str = "choose") -> None:
    found = browser.do("Runtime.evaluate", expression=f"document.getElementById('{element}')")
    browser.do("DOM.setFileInputFiles", files=[str(file)], objectId=found["result"]["objectId"])


def drop(browser: Browser, content: bytes, kind: str = "image/png") -> None:
    coded = json.dumps(base64.b64encode(content).decode())
    browser.value(
        f"(() => {{ const bytes = Uint8Array.from(atob({coded}), c => c.charCodeAt(0)); "
        "const data = new DataTransfer(); "
        f"data.items.add(new File([bytes], 'a', {{type: '{kind}'}})); "
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); })()"
    )


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_answers(linear_file: Path, tmp_path: Path, width: int) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(png(pictures(2)[0]))
    best, second = reference(pictures(2))
    with (
        serving(linear_file, tmp_path / "log", "--workers", "1") as server,
        Browser(tmp_path, reach="127.0.0.1") as browser,
    ):
        address = f"http://127.0.0.1:{server.port}/"
        browser.open(address, width)
        choose(browser, file, "choose" if width > 600 else "photograph")
        assert wait(browser, "said", "sure") == f"{LABELS[best.argmax()]}, {100 * best.max():.1f} % sure"
        assert browser.value("document.querySelectorAll('#top li').length") == 3
        assert browser.value("document.getElementById('picture').naturalWidth") == 6
        assert "linear, version " in text(browser, "model")
        assert not text(browser, "withheld") and not text(browser, "set")
        drop(browser, png(pictures(2)[1]))
        wait(browser, "said", f"{LABELS[second.argmax()]}, {100 * second.max():.1f} % sure")
        drop(browser, b"%PDF-1.4", "application/octet-stream")
        assert "a PDF file" in wait(browser, "status", "PDF")
        assert not text(browser, "said")
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
        assert all(url.startswith((address, "blob:")) for url in browser.asked.values()), browser.asked
        # The one complaint is Chromium's, about the status of what was refused.
        assert [said for said in browser.complaints if "415" not in said] == []
        browser.open(f"{address}docs", width)
        described = sum(len(methods) for methods in openapi.document()["paths"].values())
        assert browser.value("document.querySelectorAll('h2').length") == described
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_shows_sets_and_abstention(linear_file: Path, tmp_path: Path) -> None:
    with serving(linear_file, tmp_path / "log", "--workers", "1") as server, _at(server, tmp_path) as browser:
        answer = {
            "id": "i",
            "model": {"name": "m", "version": "v" * 64},
            "label": "<b>ant</b>",
            "probability": 0.5,
            "top": [{"label": "<b>ant</b>", "probability": 0.5}],
            "set": ["<b>ant</b>", "bee"],
            "coverage": 0.9,
            "abstained": True,
        }
        browser.value(f"show(new Blob(['x']), {json.dumps(answer)})")
        assert text(browser, "set") == "It is one of these, with 90.0 % certainty: <b>ant</b>, bee"
        assert "let a person look" in text(browser, "withheld")
        assert browser.value("document.querySelectorAll('main b').length") == 0


def _at(server: Running, folder: Path) -> "_Opened":
    return _Opened(server, folder)


class _Opened(Browser):
    def __init__(self, server: Running, folder: Path) -> None:
        super().__init__(folder, reach="127.0.0.1")
        self._address = f"http://127.0.0.1:{server.port}/"

    def __enter__(self) -> "_Opened":
        super().__enter__()
        self.open(self._address)
        return self


def test_the_page_asks_for_the_token(linear_file: Path, tmp_path: Path) -> None:
    secret = "a-secret-of-this-test"
    with (
        serving(linear_file, tmp_path / "log", "--workers", "1", IMGREC_TOKEN=secret) as server,
        _at(server, tmp_path) as browser,
    ):
        drop(browser, png(pictures(1)[0]))
        wait(browser, "unlock", "asks for its token")
        for given in ("wrong", secret):
            browser.value(f"document.getElementById('token').value = '{given}'")
            browser.click("#unlock button")
            wait(browser, *(("status", "not the token") if given == "wrong" else ("said", "sure")))
        assert not text(browser, "unlock")


def test_the_page_shows_where_a_keras_model_looked(tmp_path: Path) -> None:
    from imgrec.models import build_model

    preprocess = Preprocess(size=(28, 28), colour="grey")
    model = build_model("lenet5", input_shape=preprocess.shape, num_classes=3)
    record = {"name": "lenet5", "input_shape": list(preprocess.shape), "num_classes": 3, "options": {}}
    folder = bundle.begin(tmp_path / "run")
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "model": record})
    files.write_file(folder / "model.keras", lambda path: model.save(path))
    write_companions(folder, preprocess)
    bundle.finish(folder, tmp_path / "run")
    with (
        serving(tmp_path / "run", tmp_path / "log", "--deadline", "120") as server,
        _at(server, tmp_path) as browser,
    ):
        assert "(keras, 1 workers" in server.first
        drop(browser, png(pictures(1)[0]))
        wait(browser, "looked", "Where the model looked")
        browser.value("document.getElementById('map').decode().then(() => 0)")
        assert browser.value("document.getElementById('map').naturalWidth") >= 256
        status, headers, _ = server.ask("/explain", b"hello")
        assert (status, headers["Content-Type"]) == (415, "application/json")
