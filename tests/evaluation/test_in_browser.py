"""Pages in Chromium: no error, nothing fetched, no overflow, and the script does what a reader asks of it.

Skipped, with its reason in pytest's summary, where there is no Chromium.
"""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chromium
import numpy as np
import pytest
import test_search_page
from reports import ADAPTATION, EVIL, evaluated, write_report

from imgrec.data.audit.findings import Finding
from imgrec.data.audit.scores import Scores
from imgrec.evaluation import audit_page, benchmark_page
from imgrec.evaluation.language import language
from imgrec.tasks.multiclass import Multiclass

pytestmark = chromium.needed
LONG = "a class of a long name that nobody would shorten, such as Myotis_daubentonii_subspecies_nathalinae"
WIDTHS = (1280, 400)
KINDS = ("report", "many", "audit", "search", "benchmark")


def report(folder: Path, classes: list[str], code: str) -> Path:
    counts = list(range(100, 100 - len(classes), -1))
    adaptation = {**ADAPTATION, "verdict": "No difference."}
    given = evaluated(
        Multiclass(tuple(classes)), counts=counts, adaptation=adaptation, language=language(code)
    )
    write_report(folder, given)
    return folder / "report" / "index.html"


def audit(path: Path) -> Path:
    ids = tuple(f"{LONG}/{number}.png" for number in range(9))
    found = [
        Finding(ids[number], code, LONG) for number, code in enumerate(["damaged", "blank", "blank", "cmyk"])
    ]
    measured = SimpleNamespace(ids=ids, scores=np.linspace(0, 1, 9 * len(Scores._fields)).reshape(9, -1))
    image = np.full((40, 60, 3), 90, np.uint8)
    audit_page.write_page(path, EVIL, found, measured, lambda id: image, [LONG], LONG)
    return path


def benchmark(path: Path) -> Path:
    row: dict[str, Any] = {
        "name": "float32.tflite", "kind": "tflite", "kilobytes": 120.5, "accuracy": 0.91, "threads": 1,
        "xnnpack": True, "ms_p50": 1.5, "ms_p90": 1.9, "images_per_second": 660.0, "megabytes": 3.0,
        "pieces": 1, "macs": 2.1e6, "microjoules": 9.7,
    }  # fmt: skip
    rows = [
        row,
        {**row, "name": LONG, "kilobytes": 40.0, "ms_p50": 0.7},
        {**row, "threads": 2, "accuracy": None},
    ]
    benchmark_page.write_page(path, benchmark_page.Measured(EVIL, rows, {"processor": LONG}, [LONG], LONG))
    return path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    test_search_page.made(folder / "search.html", 2, {"learning_rate": 0.9, "augment": 0.1})
    return {
        "report": report(folder / "few", [EVIL, LONG, *(f"class {number}" for number in range(12))], "en"),
        "many": report(folder / "many", [f"类别 {number}" for number in range(60)], "zh"),
        "audit": audit(folder / "audit.html"),
        "search": folder / "search.html",
        "benchmark": benchmark(folder / "benchmark.html"),
    }


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    with chromium.Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(tab: chromium.Browser) -> chromium.Browser:
    tab.asked.clear()
    tab.complaints.clear()
    return tab


STANDS_OUT = """[...document.querySelectorAll('main :not(svg *)')].filter((e) =>
  e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, pre')).map((e) => e.outerHTML)"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_fails_nothing_is_fetched_and_nothing_stands_out(
    kind: str, width: int, pages: dict[str, Path], browser: chromium.Browser
) -> None:
    for dark in (False, True):
        browser.open(pages[kind], width, dark=dark)
        browser.decode()
        assert browser.value("document.documentElement.scrollWidth") == width
        assert browser.value(STANDS_OUT) == []
        assert browser.value("[...document.images].filter((i) => !i.naturalWidth).length") == 0
    assert browser.complaints == []
    assert set(browser.asked.values()) == {pages[kind].as_uri()}


def test_light_and_dark_differ_and_both_can_be_read(
    pages: dict[str, Path], browser: chromium.Browser
) -> None:
    """Text on the page has a contrast of 4.5 or more (WCAG 2.2, 1.4.3), in either scheme."""
    for dark in (False, True):
        browser.open(pages["report"], dark=dark)
        ink = (
            "main p, .note, dt, main td:not(.none, .right, .wrong), th, nav.beside a, .lede, .badge, .alert b"
        )
        colours = browser.value(
            f"[...document.querySelectorAll({json.dumps(ink)})].map((e) => getComputedStyle(e).color)"
        )
        page = browser.value("getComputedStyle(document.body).backgroundColor")
        assert (luminance(page) < 0.1) == dark
        assert min(contrast(colour, page) for colour in set(colours)) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TABLE = """<!doctype html><table id=t><thead><tr><th scope=col>Name<th scope=col>Share<th scope=col>Count
<th scope=col>Day</tr></thead><tbody>
<tr><th>b 10<td>9.0 %<td>1,200<td>2026-02-01</tr><tr><th>b 9<td>&gt; 99.9 %<td>–<td>2025-12-31</tr>
<tr><th>a<td>–<td>−3<td>2026-01-15</tr><tr><th>c<td>99.9 %<td>2.5e-05<td></tr>
<tr><th>d<td>80.0 % (70–90)<td>999<td>2024-01-01</tr></tbody></table>"""


@pytest.fixture
def with_table(pages: dict[str, Path], tmp_path: Path) -> Path:
    """A page of ours with a table that has all that is hard about sorting."""
    text = pages["search"].read_text(encoding="utf-8")
    path = tmp_path / "table.html"
    path.write_text(text.replace("<main>", f"<main>{TABLE}", 1), encoding="utf-8")
    return path


def names(browser: chromium.Browser) -> str:
    found = browser.value("[...t.tBodies[0].rows].map((row) => row.cells[0].textContent.trim())")
    return ", ".join(found)


def test_a_click_sorts_numbers_as_numbers_and_what_is_missing_last(
    with_table: Path, browser: chromium.Browser
) -> None:
    browser.open(with_table)
    assert names(browser) == "b 10, b 9, a, c, d"
    head = "#t th:nth-child({}) button"
    browser.click(head.format(2))
    assert names(browser) == "b 10, d, c, b 9, a"
    assert browser.value("t.querySelector('[aria-sort]').getAttribute('aria-sort')") == "ascending"
    browser.click(head.format(2))
    assert names(browser) == "b 9, c, d, b 10, a"
    browser.click(head.format(2))
    assert names(browser) == "b 10, b 9, a, c, d" and browser.value("t.querySelector('[aria-sort]')") is None
    browser.click(head.format(3))
    assert names(browser) == "a, c, d, b 10, b 9"
    browser.click(head.format(4))
    assert names(browser) == "d, b 9, a, b 10, c"
    assert browser.value("t.querySelectorAll('[aria-sort]').length") == 1
    browser.click(head.format(1))
    assert names(browser) == "a, b 9, b 10, c, d"


def test_keys_sort_too(with_table: Path, browser: chromium.Browser) -> None:
    browser.open(with_table, 400)
    browser.value("t.querySelector('th:nth-child(3) button').focus()")
    browser.press("Enter")
    assert names(browser) == "a, c, d, b 10, b 9"
    browser.press(" ")
    assert names(browser) == "b 10, d, c, a, b 9"


def test_the_class_table_sorts_and_keeps_its_means_below(
    pages: dict[str, Path], browser: chromium.Browser
) -> None:
    browser.open(pages["many"])
    browser.click("#classes table th:nth-child(3) button")
    rows = "[...document.querySelector('#classes tbody').rows]"
    recalls = browser.value(f"{rows}.map((row) => row.cells[2].innerText)")
    shares = [float(recall.strip(" >%")) for recall in recalls]
    assert len(shares) == 60 and shares == sorted(shares)
    assert browser.value("document.querySelector('#classes tfoot th').textContent") == "各类别平均"


def test_the_switch_changes_the_scheme_and_is_remembered(
    pages: dict[str, Path], browser: chromium.Browser
) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    browser.open(pages["report"])
    light = browser.value(colour)
    browser.click(".scheme")
    dark = browser.value(colour)
    assert luminance(dark) < 0.1 < luminance(light)
    browser.open(pages["report"])
    assert browser.value(colour) == dark
    browser.click(".scheme")  # the system's own again: it is followed
    browser.open(pages["report"], dark=True)
    assert browser.value(colour) == dark and browser.value("document.documentElement.dataset.scheme") is None


def test_an_image_s_id_is_seen_whole_and_selected(pages: dict[str, Path], browser: chromium.Browser) -> None:
    browser.open(pages["audit"], 400)
    id = f"{LONG}/1.png"
    cut = browser.value(
        "(() => { const e = document.querySelector('.id'); return e.scrollWidth > e.clientWidth })()"
    )
    assert cut
    browser.click("#blank .id")
    assert browser.value("getSelection().toString()") == id
    assert browser.value(
        "(() => { const e = document.activeElement; return e.scrollWidth <= e.clientWidth })()"
    )
    bare = "(image) => !image.closest('li, figure')?.querySelector('.id, .note')"
    for kind in KINDS:
        browser.open(pages[kind])
        assert (
            browser.value(f"[...document.images].filter({bare}).length") == 0
        )  # no picture without its id, or its caption


def test_on_a_phone_the_sections_open_from_a_bar(pages: dict[str, Path], browser: chromium.Browser) -> None:
    browser.open(pages["report"], 400)
    state = "document.querySelector('.contents').open"
    assert browser.value(state) is False
    browser.click(".contents summary")
    assert browser.value(state) is True
    browser.value("document.querySelector('.contents a[href=\"#training\"]').click()")
    browser.value("new Promise((done) => setTimeout(done, 300))")
    assert browser.value(state) is False
    top = browser.value("document.querySelector('#training h2').getBoundingClientRect().top")
    assert 44 <= top < 200
    assert browser.value("document.querySelector('.contents .here').textContent") == "Training"
    browser.open(pages["report"], 1280)
    assert browser.value("getComputedStyle(document.querySelector('.contents')).display") == "none"
    assert browser.value("getComputedStyle(document.querySelector('.beside')).position") == "sticky"


def test_without_the_script_everything_can_be_read(pages: dict[str, Path], browser: chromium.Browser) -> None:
    browser.open(pages["report"], 400, script=False)
    assert browser.value("document.querySelectorAll('th button').length") == 0
    assert browser.value("getComputedStyle(document.querySelector('.scheme')).display") == "none"
    browser.click(".contents summary")
    assert browser.value("document.querySelector('.contents').open") is True
    hidden = "[...document.querySelectorAll('main section')].filter((e) => !e.offsetHeight).length"
    assert browser.value(hidden) == 0 and browser.complaints == []


def test_no_other_script_runs_and_no_other_image_is_asked_for(
    pages: dict[str, Path], browser: chromium.Browser
) -> None:
    browser.open(pages["report"])
    more = '<img src="https://example.org/a.png" onerror="window.hit = 1"><iframe srcdoc="<p>"></iframe>'
    browser.value(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(more)})")
    browser.value(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hit = 1'}))"
    )
    browser.value("new Promise((done) => setTimeout(done, 200))")
    assert browser.value("window.hit === undefined")
    assert set(browser.asked.values()) == {pages["report"].as_uri()}
    assert sum("Content Security Policy" in said for said in browser.complaints) >= 2


def test_on_paper_nothing_is_closed_and_the_pictures_are_there(
    pages: dict[str, Path], browser: chromium.Browser
) -> None:
    browser.open(pages["report"], dark=True)
    shut = "document.querySelectorAll('main details:not([open])').length"
    browser.value(f"addEventListener('beforeprint', () => {{ window.shut = {shut} }})")
    printed = base64.b64decode(browser.do("Page.printToPDF", printBackground=False)["data"])
    assert browser.value("window.shut") == 0
    assert browser.value(shut) > 0  # as they were before
    # A picture that two sections show is in the file once.
    pictures = browser.value("new Set(Array.from(document.images, each => each.src)).size")
    assert len(re.findall(rb"/Subtype\s*/Image", printed)) >= pictures > 20
