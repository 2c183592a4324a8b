import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import jinja2
import markupsafe
import numpy as np
import pytest

from imgrec.config import Config
from imgrec.evaluation import figures
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.evaluations import EVALUATIONS
from imgrec.evaluation.report import write_report
from imgrec.metrics import baseline
from imgrec.metrics.answers import Mistake
from imgrec.metrics.wording import number, percent
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task

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


HISTORY = [
    {"epoch": "1", "loss": "2.0", "accuracy": "0.3", "val_loss": "1.9", "val_accuracy": "0.35", "note": EVIL},
    {"epoch": "2", "loss": "1.5", "accuracy": "0.5", "val_loss": "", "val_accuracy": "0.45", "note": ""},
]
FILES = [
    {"name": "float32", "accuracy": 0.9115, "agreement": 1.0, "kilobytes": 312.4, "passed": True},
    {"name": "ptq_int8", "accuracy": 0.8, "agreement": 0.9, "kilobytes": 97.0, "passed": False},
    {"name": "qat_int8", "accuracy": 0.8, "agreement": 0.9, "kilobytes": 97.0},
]


_GROUP = {"images": 6, "accuracy": 0.6, "accuracy_off": 0.5}
ADAPTATION = {
    "line": "lowlight(110)",
    "verdict": "No difference.",
    "p_value": 0.3,
    "all": _GROUP,
    "triggered": _GROUP,
    "steps": [{"name": "lowlight", **_GROUP}],
}


def evaluated(task: Task, perfect: bool = False, counts: list[int] | None = None, **more: Any) -> Evaluated:
    """Six images a class, answered by chance and a little better, or all right."""
    rng = np.random.default_rng(3)
    size = len(task.classes)
    labels = np.repeat(np.arange(size), 6)
    logits = rng.normal(0, 1, (len(labels), size)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += 100 if perfect else 1
    if task.labels == "classes":
        labels = np.eye(size, dtype=np.float32)[labels]
    ids = [f"{EVIL if i == 0 else i}.png" for i in range(len(labels))]
    mistakes = task.mistakes(ids, labels, logits)
    given: dict[str, Any] = {
        "title": EVIL,
        "figures": task.figures(logits, labels, counts),
        "history": HISTORY,
        "best_epoch": 1,
        "config": Config().replace(out=f"runs/{EVIL}", model="resnet20").flat(),
        "exports": FILES,
        "mistakes": mistakes,
        "mistake_images": [rng.integers(0, 255, (28, 28, 1), np.uint8) for _ in mistakes],
        "data": {"train": [60] * size, "test": [6] * size},
        "versions": {"keras": "3.15.1"},
        "failures": ["qat_int8: agreement 0.9 < 0.98"],
        "parity_images": 18,
        "facts": {"source": EVIL},
    }
    return Evaluated(task=task, **{**given, **more})


def page(folder: Path, given: Evaluated) -> str:
    write_report(folder, given)
    return (folder / "report" / "index.html").read_text(encoding="utf-8")


def made(folder: Path, classes: list[str], **more: Any) -> str:
    return page(folder, evaluated(Multiclass(tuple(classes)), **more))


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    assert found.open == []
    return found


@pytest.mark.parametrize("count", [2, 10, 60])
def test_report_is_one_sound_file_without_requests(tmp_path: Path, count: int) -> None:
    text = made(tmp_path, [EVIL, *(f"class {i}" for i in range(1, count))])
    seen = outline(text).seen
    tags = {tag for tag, _ in seen}
    assert not tags & {"script", "link", "iframe", "object"}
    for tag, attributes in seen:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), (tag, attributes)
        if tag == "img":
            assert attributes["alt"]
    assert "http" not in re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    ids = [attributes["id"] for _, attributes in seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {a["href"][1:] for tag, a in seen if tag == "a"}
    assert anchors <= set(ids)
    assert [p.name for p in (tmp_path / "report").iterdir()] == ["index.html"]


def test_users_text_is_escaped(tmp_path: Path) -> None:
    text = made(tmp_path, [EVIL, "b", "c"])
    assert EVIL not in text
    assert text.count(str(markupsafe.escape(EVIL))) > 5


def test_report_says_what_the_figures_are_of(tmp_path: Path) -> None:
    text = " ".join(made(tmp_path, ["a", "b", "c"]).split())  # no-break spaces too
    assert "18 test images in 3 classes" in text
    assert "resnet20 recognises" in text
    assert "ptq_int8 failed the parity gate" in text and "✗ failed" in text
    assert "float32 failed the parity gate" not in text
    assert "qat_int8 failed the parity gate" in text and "agreement 0.9 &lt; 0.98" in text
    assert "the same 18 real test images" in text
    assert "91.15 %" in text
    assert "All 3 classes" in text and "180" in text


def test_the_command_names_a_file_that_is_there(tmp_path: Path) -> None:
    shipped = [dict(FILES[0]), {**FILES[0], "name": "float32.onnx"}]
    for files, last in ((shipped, "float32.tflite"), (shipped[1:], "float32.onnx")):
        text = made(tmp_path, list("ab"), exports=files, config={"out": "runs/photos", "model": "resnet20"})
        assert f"predict photo.jpg --run runs/photos/exports/{last}\n" in text.replace("<", "\n")


def test_head_and_tail_are_told_apart_where_the_training_was_uneven(tmp_path: Path) -> None:
    text = " ".join(made(tmp_path, [EVIL, "b", "c"], perfect=True, counts=[99, 30, 3]).split())
    assert "Balanced accuracy" in text and "By how many training images there were" in text
    assert "<td>99 to 99</td><td>100.0 %</td><td>6</td>" in text and EVIL not in text
    even = made(tmp_path, ["a", "b", "c"], counts=[5, 5, 5])
    assert "Balanced accuracy" not in even and "By how many training" not in even


def test_report_without_training_exports_or_mistakes(tmp_path: Path) -> None:
    text = made(tmp_path, ["a", "b"], perfect=True, history=[], best_epoch=None, exports=[], failures=[])
    assert 'id="training"' not in text and 'id="exports"' not in text and "#exports" not in text
    assert "every one of the 12 images was recognised" in text
    assert list(json.loads((tmp_path / "metrics.json").read_text())) == ["test"]


def test_baselines_stand_beside_the_accuracy(tmp_path: Path) -> None:
    right = np.repeat([True, False], [16, 2])
    rival = baseline.Quick("logistic regression on <features>", right)
    given = baseline.stand(lambda order: right, 18, (EVIL, np.arange(18) < 6), rival)
    text = " ".join(made(tmp_path, ["a", "b", "c"], standing=given).split())
    outline(text)
    evil = markupsafe.escape(f"Always '{EVIL}'")
    first, *others = re.findall(
        r'<dt>(.*?)</dt><dd class="figure">(.*?)</dd><dd class="note">(.*?)</dd>', text
    )
    assert first[0] == "Accuracy" and others[0] == (evil, "33.3 %", "the model is better")
    assert others[1] == ("Logistic regression on &lt;features&gt;", "88.9 %", "the model is no better")
    assert "The model is better than always" in text and "by 55.6 points (p &lt; 0.001)" in text
    assert "answers by chance" not in text and EVIL not in text
    held = json.loads((tmp_path / "metrics.json").read_text())
    assert held["baselines"]["largest_class"]["accuracy"] == pytest.approx(1 / 3) and not held["by_chance"]
    assert held["baselines"]["quick"]["p_value"] == 1.0


def test_where_the_model_answers_by_chance_no_file_is_blamed(tmp_path: Path) -> None:
    right = np.arange(18) < 6
    given = baseline.stand(lambda order: right, 18, ("a", right))
    files = [{"name": "ptq_int8", "accuracy": 0.1, "agreement": 0.4, "kilobytes": 97.0}]
    told = {
        "exports": files,
        "failures": [],
        "excused": ["ptq_int8: agrees on 40 %"],
        "doubts": "18 images …",
    }
    text = " ".join(made(tmp_path, ["a", "b", "c"], standing=given, **told).split())
    outline(text)
    assert "<b>The model answers by chance.</b>" in text and "The model is no better than always" in text
    assert "<li>ptq_int8: agrees on 40 %</li>" in text and "<p>18 images ….</p>" in text
    assert "failed" not in text and "passed" not in text and "Do not ship" not in text
    held = json.loads((tmp_path / "metrics.json").read_text())
    assert held["by_chance"] and held["exports"]["failures"] == []


def of_answers(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Evaluated:
    task = Multiclass(tuple(f"class {index}" for index in range(classes)))
    given = evaluated(task)
    said = task.figures(np.eye(classes, dtype=np.float32)[predicted], labels)
    return dataclasses.replace(given, figures=said)


def test_a_class_at_nought_is_marked_however_many_there_are(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(12), 2)
    predicted = np.where(np.isin(labels, [1, 4, 5, 9, 11]), 0, labels)
    text = page(tmp_path, of_answers(labels, predicted, 12))
    rows = re.findall(r'<tr class="missed">\s*<th scope="row" title="(.*?)">', text)
    assert rows == ["class 1", "class 4", "class 5", "class 9", "class 11"]
    assert text.count('<span class="badge">never found</span>') == 5 and ">weak<" not in text
    assert "<b>5 of 12 classes were never found:</b> class 1, class 4, class 5, class 9, class 11" in text
    assert len(re.findall(r'<td class="right missed"', text)) == 5
    predicted = np.where((labels == 3) & (np.arange(24) % 2 == 0), 2, labels)  # a half of one class
    one = page(tmp_path, of_answers(labels, predicted, 12))
    assert "never found" not in one and one.count('<span class="badge">weak</span>') == 2


def test_twelve_hundred_classes_take_little_room(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(1200), 5)
    predicted = np.where(draw.random(6000) < 0.7, labels, draw.integers(0, 1200, 6000))
    predicted[:30] = 7
    text = page(tmp_path, of_answers(labels, predicted, 1200))
    outline(text)
    held = (tmp_path / "metrics.json").read_text()
    assert len(held) < 500_000 and len(text) < 2_000_000
    entries = json.loads(held)["test"]["confusion"]
    assert sum(images for *_, images in entries) == 6000 and min(images for *_, images in entries) == 1
    section = text[text.index('<section id="confusion">') : text.index('<section id="mistakes">')]
    assert "<img" not in section and 'class="matrix"' not in section and section.count("<tr>") == 41
    pairs = sum(label != said for label, said, _ in entries)
    assert f"40 of {pairs:,} pairs of classes" in section


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    assert made(tmp_path / "1", ["a", "b"]) == made(tmp_path / "2", ["a", "b"])


def test_metrics_json_has_the_share_of_every_section(tmp_path: Path) -> None:
    given = evaluated(Multiclass(("a", "b", "c")), adaptation=ADAPTATION)
    write_report(tmp_path, given)
    held = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert held == {
        "test": given.figures,
        "validation": {"epoch": 1, "loss": "1.9", "accuracy": "0.35"},
        "adaptation": ADAPTATION,
        "exports": {
            "images": 18,
            "files": FILES,
            "failures": ["qat_int8: agreement 0.9 < 0.98"],
            "excused": [],
            "doubts": "",
        },
    }


def test_sections_stand_in_the_order_of_the_table(tmp_path: Path) -> None:
    text = made(tmp_path, ["a", "b"], adaptation=ADAPTATION)
    names = list(EVALUATIONS)
    assert re.findall(r'<section id="(\w+)"', text) == names[1:] and names[0] == "headline"
    assert re.findall(r'<a href="#(\w+)">', text[: text.index("</nav>")]) == names[1:]
    assert "prepared with <code>lowlight(110)</code>" in text and "<td>60.00" in text


def test_a_registered_evaluation_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(given: Evaluated) -> Section:
        data = {"images": given.figures["images"], "name": EVIL}
        return Section(EVIL, "<p>{{ images | number }} {{ name }}</p>", data, {"mine": 5})

    monkeypatch.setitem(EVALUATIONS, "mine", mine)
    text = made(tmp_path, ["a", "b"])
    outline(text)
    assert '<section id="mine">' in text and f"<p>12 {markupsafe.escape(EVIL)}</p>" in text
    assert f'<a href="#mine">{markupsafe.escape(EVIL)}</a>' in text and EVIL not in text
    assert json.loads((tmp_path / "metrics.json").read_text())["mine"] == 5

    monkeypatch.setitem(EVALUATIONS, "mine", lambda given: Section("Mine", "<p>{{ imagse }}</p>"))
    with pytest.raises(jinja2.UndefinedError, match="imagse"):
        made(tmp_path, ["a", "b"])
    monkeypatch.setitem(EVALUATIONS, "mine", lambda given: Section("Mine", "<p>", json={"test": 1}))
    with pytest.raises(ValueError, match="mine writes test into"):
        made(tmp_path, ["a", "b"])
    monkeypatch.setitem(EVALUATIONS, "mine", lambda given: None)
    assert "mine" not in made(tmp_path, ["a", "b"])


def test_multi_label_answers_have_average_precision_and_no_confusion(tmp_path: Path) -> None:
    given = evaluated(Multilabel((EVIL, "b", "c")))
    text = " ".join(page(tmp_path, given).split())
    outline(text)
    assert "resnet20 has every label right on" in text and "18 test images, which have 1 of 3 labels" in text
    assert '<th scope="col">Average precision</th>' in text and "A label is given where" in text
    mean = percent(given.figures["mean_average_precision"]).replace("\N{NO-BREAK SPACE}", " ")
    assert f"<td>{mean}</td>" in text
    assert "onfusion" not in text and "calibration error" not in text and EVIL not in text


class Value(Multiclass):
    """A number an image, of which nothing is known by class."""

    labels = "value"
    score = "loss"

    def figures(self, outputs: np.ndarray, labels: np.ndarray, train_counts: Any = None) -> dict[str, Any]:
        return {"images": len(labels), "mean_error": 1.5}

    def mistakes(self, ids: Any, labels: np.ndarray, outputs: np.ndarray, count: int = 24) -> list[Mistake]:
        return [Mistake(0, "0.png", "45 degrees", "90 degrees", None, None)]

    def lede(self, figures: Any) -> tuple[str, str, str]:
        return "is off by", "1.5", "degrees"

    def tiles(self, figures: Any) -> list[tuple[str, str, str]]:
        return [("Mean error", "1.5", "degrees")]

    def share_right(self, figures: Any) -> float:
        return 0.5


def test_a_task_about_values_has_no_section_of_classes(tmp_path: Path) -> None:
    given = evaluated(Value(("angle",)), data={"train": [60], "test": [6]}, config={})
    text = " ".join(page(tmp_path, given).split())
    outline(text)
    assert 'id="classes"' not in text and "#classes" not in text and "onfusion" not in text
    assert "The model is off by <strong>1.5</strong> degrees" in text and ">Mean error<" in text
    assert "<b>90 degrees</b></p>" in text and "<p>is 45 degrees</p>" in text and "1 of 3 mistakes" in text
    assert '<th scope="row">All</th><td>60</td><td>6</td>' in text and "Wilson" not in text
    assert json.loads((tmp_path / "metrics.json").read_text())["test"] == {"images": 6, "mean_error": 1.5}


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
    pixels = decoded(figures.heat_map([[0, 0, 3], [0, 1, 1]], 2))
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


def test_what_files_hold_and_which_layers_rounding_harms(tmp_path: Path) -> None:
    layers = [
        {"name": f"{EVIL}{n}", "own_db": 50.0 - n, "db": 30.0, "max_abs": 1.0, "mean_abs": 0.1}
        for n in range(8)
    ]
    inside = {
        "operators": {"CONV_2D": 3, "ROUND": 1},
        "arena_kilobytes": 12.5,
        "not_on_gpu": {"ROUND": 1},
        "not_by_nnapi": {},
    }
    rows = [
        {"name": "float32", "accuracy": 0.9, "accuracy_interval_95": [0.8, 0.95], "inventory": inside},
        {"name": "ptq_int8", "layers": layers, "note": "left in float32: stem", "departs": "departs at stem"},
    ]
    text = " ".join(made(tmp_path, ["a", "b", "c"], exports=rows, failures=[]).split())
    assert '<td class="text long">CONV_2D 3, ROUND 1</td><td>12.5</td>' in text
    assert '<td class="text long">ROUND 1</td><td class="text long">none</td>' in text
    assert "(80–95)" in text and "ptq_int8: left in float32: stem; departs at stem." in text
    own = [text.index(f"<td>{db}</td>") for db in (43, 44, 45, 46, 47)]
    assert own == sorted(own) and text.count("<td>30</td>") == 5
    assert EVIL not in text
