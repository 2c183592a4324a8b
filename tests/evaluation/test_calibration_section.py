"""The section on sureness: figures as the metrics have them, and words where images are too few."""

from pathlib import Path

import numpy as np
import pytest
from reports import Outline, evaluated

from imgrec.evaluation import sureness
from imgrec.evaluation.language import ENGLISH
from imgrec.evaluation.page import fragment
from imgrec.evaluation.sections.calibration import calibration
from imgrec.evaluation.stored import Stored
from imgrec.files import write_json
from imgrec.metrics import reliability
from imgrec.tasks.calibration import Abstention, Calibration, Scaling, Sets
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel

CLASSES = tuple("abcde")
KNOWN = Calibration(
    Scaling((0.5,), (), 400, (1.8, 2.2)),
    Sets("lac", 0.9, 0.7, 400),
    Abstention("risk", 0.1, 0.95, 0.6, 400),
)


def outputs(count: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    logits = draw.normal(0, 3, (count, 5)).astype(np.float32)
    labels = np.array([draw.choice(5, p=row) for row in Multiclass(CLASSES, KNOWN).scores(logits) + 0.0])
    return logits, labels


def section(task, logits, labels, split="test"):
    ids = tuple(map(str, range(len(labels))))
    figures = {**task.figures(logits, labels), "split": split}
    given = evaluated(task, figures=figures, test=Stored(ids, labels, logits))
    made = calibration(given)
    assert made is not None
    html = fragment(made.template, made.data, ENGLISH)
    outline = Outline()
    outline.feed(str(html))
    assert not outline.open
    return made.json["calibration"], str(html)


def test_figures_are_those_of_the_metrics() -> None:
    logits, labels = outputs(600)
    task = Multiclass(CLASSES, KNOWN)
    told, html = section(task, logits, labels)
    plain, scaled = task.plain.scores(logits), task.scores(logits)
    for name, scores in (("before", plain), ("after", scaled)):
        hit = scores.argmax(axis=1) == labels
        assert told[name]["calibration_error"] == pytest.approx(reliability.error(scores.max(axis=1), hit))
        wanted = -np.log(scores[np.arange(600), labels].astype(float)).mean()
        assert told[name]["log_loss"] == pytest.approx(wanted, rel=1e-5)
        assert sum(row["count"] for row in told[name]["bins"]) == 600
    assert told["answers_changed"] == 0 and told["log_loss_saved"] > 0
    assert told["after"]["calibration_error"] < 0.5 * told["before"]["calibration_error"]
    inside = 1 - scaled <= 0.7
    inside[np.arange(600), scaled.argmax(axis=1)] = True
    assert told["sets"]["held"] == pytest.approx(inside[np.arange(600), labels].mean())
    assert told["sets"]["mean_size"] == pytest.approx(inside.sum(axis=1).mean())
    assert sum(told["sets"]["sizes"]) == 600
    given = scaled.max(axis=1) >= 0.6
    assert told["selective"]["answered"] == pytest.approx(given.mean())
    assert told["selective"]["risk"] == pytest.approx((scaled.argmax(axis=1) != labels)[given].mean())
    assert html.count("<svg") == 3 and "divided by 2 " in html and "no part in it" in html
    assert "hold the label on" in html and "at most 10.0" in html


def test_a_split_that_the_thresholds_come_from_flatters() -> None:
    html = section(Multiclass(CLASSES, KNOWN), *outputs(200), split="val")[1]
    assert "flatter" in html and "no part in it" not in html


def test_27_images_have_wide_intervals_and_no_diagram() -> None:
    told, html = section(Multiclass(CLASSES, KNOWN), *outputs(27))
    low, high = told["after"]["calibration_error_interval_95"]
    assert high - low > 0.1 and not told["after"]["bins"]
    low, high = told["sets"]["held_interval_95"]
    assert high - low > 0.2
    assert "make no diagram" in html and html.count("<svg") == 1


def test_five_images_are_refused_in_words() -> None:
    told, html = section(Multiclass(CLASSES, KNOWN), *outputs(5))
    assert told == {"images": 5} and "5 images are too few" in html and "%" not in html
    assert sureness.line(told) == ""


def test_several_labels_are_decisions_of_their_own() -> None:
    logits, labels = outputs(200)
    several = (np.eye(5)[labels] + np.eye(5)[(labels + 1) % 5]).astype(np.float32)
    told, html = section(
        Multilabel(CLASSES, Calibration(Scaling((0.5,), (), 400, (1.8, 2.2)))), logits, several
    )
    assert "sets" not in told and "Every label" in html
    scores = 1 / (1 + np.exp(-logits.astype(float)))
    assert told["before"]["calibration_error"] == pytest.approx(
        reliability.error(scores.astype(np.float32).ravel(), several.ravel() > 0.5), abs=1e-6
    )


def test_a_run_without_calibration_shows_what_its_probabilities_are(tmp_path: Path) -> None:
    told, html = section(Multiclass(CLASSES), *outputs(200))
    assert told["after"] is None and told["sets"] is None and "none were scaled" in html
    write_json(tmp_path / "metrics.json", {"calibration": told})
    (line,) = sureness.lines(tmp_path)
    assert line.startswith("calibration error ") and "after scaling" not in line
    write_json(tmp_path / "metrics.json", {})
    assert sureness.lines(tmp_path) == []
