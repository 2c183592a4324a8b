"""What the sections of a run's page say of it."""

import json
import re
from pathlib import Path
from typing import Any

import markupsafe
import numpy as np
import pytest
from reports import EVIL, FILES, evaluated, made, of_answers, outline, page

from imgrec.metrics import baseline
from imgrec.metrics.answers import Mistake
from imgrec.metrics.wording import percent
from imgrec.phrases import Phrase
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel


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
    assert "By how many training" not in even


def test_report_without_training_exports_or_mistakes(tmp_path: Path) -> None:
    text = made(tmp_path, ["a", "b"], perfect=True, history=[], best_epoch=None, exports=[], failures=[])
    assert 'id="training"' not in text and 'id="exports"' not in text and "#exports" not in text
    assert "every one of the 12 images was recognised" in text
    assert not {"training", "exports", "validation"} & set(
        json.loads((tmp_path / "metrics.json").read_text())
    )


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


def test_a_class_at_nought_is_marked_however_many_there_are(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(12), 2)
    predicted = np.where(np.isin(labels, [1, 4, 5, 9, 11]), 0, labels)
    text = page(tmp_path, of_answers(labels, predicted, 12))
    rows = re.findall(r'<tr class="missed">\s*<th scope="row" title="(.*?)">', text)
    assert rows == ["class 1", "class 4", "class 5", "class 9", "class 11"]
    assert text.count('<span class="badge">never found</span>') == 5 and ">weak<" not in text
    assert "<b>Never found: 5 of 12 classes.</b> class 1, class 4, class 5, class 9, class 11" in text
    assert len(re.findall(r'<td class="right missed"', text)) == 5
    predicted = np.where((labels == 3) & (np.arange(24) % 2 == 0), 2, labels)  # a half of one class
    one = page(tmp_path, of_answers(labels, predicted, 12))
    assert "never found" not in one and one.count('<span class="badge">weak</span>') == 2


@pytest.mark.slow
def test_twelve_hundred_classes_take_little_room(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(1200), 5)
    predicted = np.where(draw.random(6000) < 0.7, labels, draw.integers(0, 1200, 6000))
    predicted[:30] = 7
    text = page(tmp_path, of_answers(labels, predicted, 1200))
    outline(text)
    held = (tmp_path / "metrics.json").read_text()
    assert len(held) < 1_500_000 and len(text) < 3_000_000
    entries = json.loads(held)["test"]["confusion"]
    assert sum(images for *_, images in entries) == 6000 and min(images for *_, images in entries) == 1
    section = text[text.index('<section id="confusion">') : text.index('<section id="mistakes">')]
    assert "<img" not in section and 'class="matrix"' not in section and section.count("<tr>") == 41
    pairs = sum(label != said for label, said, _ in entries)
    assert f"40 of {pairs:,} pairs of classes" in section


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

    def lede(self, figures: Any) -> Phrase:
        return Phrase("is off by {figure} degrees", figure="1.5")

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
    assert (
        "(80–95)" in text
        and "<p>ptq_int8: left in float32: stem.</p> <p>ptq_int8: departs at stem.</p>" in text
    )
    own = [text.index(f"<td>{db}</td>") for db in (43, 44, 45, 46, 47)]
    assert own == sorted(own) and text.count("<td>30</td>") == 5
    assert EVIL not in text
