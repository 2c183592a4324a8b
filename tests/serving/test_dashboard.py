"""The dashboard in Chromium: what it draws, an alarm and its end, the token, a phone; no other server."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, needed
from servers import Running, png, serving
from watched import photographs, watched_run

pytestmark = needed
SECRET = "a-secret-of-this-test"
HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def server(linear_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a token, with some traffic behind it that has become dark."""
    folder = tmp_path_factory.mktemp("dashboard")
    run = watched_run(folder / "run", linear_file)
    with serving(run, folder / "errors", "--workers", "1", IMGREC_TOKEN=SECRET) as running:
        connection = http.client.HTTPConnection(HERE, running.port)
        pictures = [png(image) for image in photographs(200, 2, 0.4)]
        for body in (*pictures, b"hello"):
            connection.request("POST", "/predict", body, {"Authorization": f"Bearer {SECRET}"})
            connection.getresponse().read()
        connection.close()
        yield running


def until(browser: Browser, expression: str) -> None:
    end = time.monotonic() + 30
    while not browser.value(expression):
        assert time.monotonic() < end, (expression, browser.value("document.body.innerText"))
        time.sleep(0.1)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
def test_the_dashboard_shows_what_goes_on(server: Running, tmp_path: Path, width: int, dark: bool) -> None:
    with Browser(tmp_path, reach=HERE) as browser:
        address = f"http://{HERE}:{server.port}/"
        browser.open(f"{address}dashboard", width, dark=dark)
        for given in ("wrong", SECRET):
            until(browser, "!document.getElementById('unlock').hidden")
            browser.value(f"document.getElementById('token').value = '{given}'")
            browser.click("#unlock button")
            told = "document.getElementById('status').textContent.includes('not the token')"
            until(
                browser, told if given == "wrong" else "document.querySelectorAll('#plots path').length >= 7"
            )
        assert browser.value("document.getElementById('unlock').hidden")
        assert browser.value("document.querySelectorAll('#plots svg').length") == 6
        assert browser.value("document.querySelectorAll('#drift svg').length") == 2
        assert browser.value("document.querySelectorAll('#drift .limit').length") == 1
        assert "alarm at 20" in browser.value("document.getElementById('drift').textContent")
        shown = browser.value("document.body.innerText")
        assert "415 0" in shown and "active" in shown and "p99" in shown
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
        # One test clears the alarm, the other sees that it was.
        if width == 1280:
            assert "brightness is lower" in browser.value("document.querySelector('li.stands').textContent")
            browser.click("#restart")
        until(browser, "document.querySelector('#raised li').textContent.includes('cleared')")
        assert browser.value("document.getElementById('restart').hidden")
        browser.value("document.getElementById('span').value = 'day'")
        browser.value("document.getElementById('span').dispatchEvent(new Event('change'))")
        until(browser, "document.getElementById('plots').textContent.includes('nothing yet')")
        assert all(url.startswith(address) for url in browser.asked.values()), browser.asked
        # The complaints are Chromium's, about the status of what was asked without the right token.
        assert [said for said in browser.complaints if "401" not in said] == []
