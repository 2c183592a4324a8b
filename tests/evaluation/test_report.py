import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import markupsafe
import numpy as np
import pytest

from imgrec.config import Config
from imgrec.evaluation import figures
from imgrec.evaluation.page import number, percent
from imgrec.evaluation.report import Report, write_report
from imgrec.metrics import single_label as metrics

EVIL = "<script>alert(\"x\")</script> & 'co'"


class Outline(HTMLParser):
    """Checks that tags close, and collects tags and links."""

    VOID = {"meta", "img", "br", "link", "input"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


def made(
    path: Path,
    classes: list[str],
    exports: bool = True,
    perfect: bool = False,
    train_counts: list[int] | None = None,
) -> str:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(len(classes)), 6)
    logits = rng.normal(0, 1, (len(labels), len(classes))).astype(np.float32)
    logits[np.arange(len(labels)), labels] += 100 if perfect else 1
    ids = [f"{EVIL if i == 0 else i}.png" for i in range(len(labels))]
    mistakes = metrics.confident_mistakes(ids, labels, logits, classes)
    history = [
        {
            "epoch": "1",
            "loss": "2.0",
            "accuracy": "0.3",
            "val_loss": "1.9",
            "val_accuracy": "0.35",
            "note": EVIL,
        },
        {"epoch": "2", "loss": "1.5", "accuracy": "0.5", "val_loss": "", "val_accuracy": "0.45", "note": ""},
    ]
    rows = [
        {"name": "float32", "accuracy": 0.9115, "agreement": 1.0, "kilobytes": 312.4, "passed": True},
        {"name": "ptq_int8", "accuracy": 0.8, "agreement": 0.9, "kilobytes": 97.0, "passed": False},
        {"name": "qat_int8", "accuracy": 0.8, "agreement": 0.9, "kilobytes": 97.0},
    ]
    report = Report(
        title=EVIL,
        metrics=metrics.summarize(logits, labels, classes, train_counts=train_counts),
        history=history if exports else [],
        config=Config().replace(out=f"runs/{EVIL}", model="resnet20").flat(),
        exports=rows if exports else [],
        mistakes=mistakes,
        mistake_images=[rng.integers(0, 255, (28, 28, 1), np.uint8) for _ in mistakes],
        data={"train": [60] * len(classes), "test": [6] * len(classes)},
        versions={"keras": "3.15.1"},
        failures=["qat_int8: agreement 0.9 < 0.98"] if exports else [],
        parity_images=18,
        facts={"source": EVIL},
    )
    write_report(path, report)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("count", [2, 10, 60])
def test_report_is_one_sound_file_without_requests(tmp_path: Path, count: int) -> None:
    text = made(tmp_path / "report" / "index.html", [EVIL, *(f"class {i}" for i in range(1, count))])
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    tags = {tag for tag, _ in outline.seen}
    assert not tags & {"script", "link", "iframe", "object"}
    for tag, attributes in outline.seen:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), (tag, attributes)
        if tag == "img":
            assert attributes["alt"]
    assert "http" not in re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    ids = [attributes["id"] for _, attributes in outline.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {a["href"][1:] for tag, a in outline.seen if tag == "a"}
    assert anchors <= set(ids)
    assert [p.name for p in (tmp_path / "report").iterdir()] == ["index.html"]


def test_users_text_is_escaped(tmp_path: Path) -> None:
    text = made(tmp_path / "r.html", [EVIL, "b", "c"])
    assert EVIL not in text
    assert text.count(str(markupsafe.escape(EVIL))) > 5


def test_report_says_what_the_figures_are_of(tmp_path: Path) -> None:
    text = " ".join(made(tmp_path / "r.html", ["a", "b", "c"]).split())  # no-break spaces too
    assert "18 test images in 3 classes" in text
    assert "resnet20 recognises" in text
    assert "ptq_int8 failed the parity gate" in text and "✗ failed" in text
    assert "float32 failed the parity gate" not in text
    assert "qat_int8 failed the parity gate" in text and "agreement 0.9 &lt; 0.98" in text
    assert "the same 18 real test images" in text
    assert "91.15 %" in text
    assert "All 3 classes" in text and "180" in text


def test_head_and_tail_are_told_apart_where_the_training_was_uneven(tmp_path: Path) -> None:
    text = " ".join(
        made(tmp_path / "r.html", [EVIL, "b", "c"], perfect=True, train_counts=[99, 30, 3]).split()
    )
    assert "Balanced accuracy" in text and "By how many training images there were" in text
    assert "<td>99 to 99</td><td>100.0 %</td><td>6</td>" in text and EVIL not in text
    even = made(tmp_path / "e.html", ["a", "b", "c"], train_counts=[5, 5, 5])
    assert "Balanced accuracy" not in even and "By how many training" not in even


def test_report_without_training_exports_or_mistakes(tmp_path: Path) -> None:
    text = made(tmp_path / "r.html", ["a", "b"], exports=False, perfect=True)
    assert 'id="training"' not in text and 'id="exports"' not in text and "#exports" not in text
    assert "every one of the 12 images was recognised" in text


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    assert made(tmp_path / "1.html", ["a", "b"]) == made(tmp_path / "2.html", ["a", "b"])


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_small_pictures_are_kept_bit_for_bit() -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 20, 3), np.uint8)
    uri = figures.data_uri(image)
    assert uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(decoded(uri)[..., ::-1], image)


def test_large_pictures_are_scaled_down_in_proportion() -> None:
    for channels in (1, 3):
        image = np.full((600, 300, channels), (200, 30, 60)[:channels], np.uint8)
        uri = figures.data_uri(image)
        assert uri.startswith("data:image/jpeg;base64,")
        pixels = decoded(uri)
        assert pixels.shape[:2] == (224, 112)
        expected = (60, 30, 200) if channels == 3 else 200
        assert np.abs(pixels.astype(int) - expected).max() <= 3


def test_heat_map_shows_shares_as_opacity() -> None:
    pixels = decoded(figures.heat_map(np.array([[3, 1], [0, 0]])))
    assert pixels[..., 3].tolist() == [[round(255 * 0.75**0.5), round(255 * 0.25**0.5)], [0, 0]]
    assert tuple(pixels[0, 0, :3]) != tuple(pixels[0, 1, :3])


def test_curve_follows_the_page_s_colours() -> None:
    svg = figures.curve("loss", [1, 2, 3], {"training": [3.0, 2.0, 1.0], "validation": [3.0, None, 2.0]})
    assert svg.startswith('<svg role="img" aria-label="loss over 3 epochs: training, validation"')
    assert "var(--val)" in svg and "var(--train)" in svg and "#00000" not in svg
    assert "http" not in svg


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9124, "91.2 %"),
        (1.0, "100.0 %"),
        (0.99999, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.0, "0.0 %"),
        (None, "–"),
    ],
)
def test_percent_never_flatters(share: float | None, text: str) -> None:
    assert percent(share).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2000, "2,000"), (312.4, "312"), (0.21149, "0.211"), (2.1e-5, "2.1e-05"), (None, "–"), ("x", "x")],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text
