"""What is fitted on validation images, what they are too few for, and what is refused before training."""

import numpy as np
import pytest

from imgrec.config import Config
from imgrec.config.calibration import CalibrationConfig
from imgrec.errors import InputError
from imgrec.metrics.answers import softmax
from imgrec.runs.calibrating import check, fit, grid, read_abstain
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel

CLASSES = tuple("abcdef")
TASK = Multiclass(CLASSES)


def drawn(count: int, heat: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2.0, (count, 6))
    labels = (softmax(logits).cumsum(axis=1) > draw.random((count, 1))).argmax(axis=1)
    return (heat * logits).astype(np.float32), labels


def calibrated(count: int, heat: float = 2.0, **settings: object):
    return fit(TASK, CalibrationConfig(**settings), 0, *drawn(count, heat))


def test_auto_scales_by_one_half_and_takes_thresholds_from_the_other() -> None:
    task, notes = calibrated(1000)
    known = task.calibration
    assert known is not None and known.scaling is not None and known.sets is not None
    assert known.scaling.interval[0] < 2 < known.scaling.interval[1]
    assert known.scaling.images == known.sets.images == 500 and known.sets.method == "lac"
    assert notes[0].startswith("temperature ") and "sets of 90 % (lac)" in notes[1]
    fresh, labels = drawn(20_000, seed=5)
    held = known.sets.members(task.scores(fresh))[np.arange(20_000), labels].mean()
    assert held == pytest.approx(0.9, abs=0.04)
    assert (task.scores(fresh).argmax(axis=1) == TASK.scores(fresh).argmax(axis=1)).all()
    assert calibrated(1000)[0] == task  # the same every time


def test_what_needs_no_mending_is_left_alone() -> None:
    task, notes = calibrated(1000, heat=1.0)
    assert task.calibration is not None and task.calibration.scaling is None
    assert "no different from 1, left as it is" in notes[0]


def test_too_few_images_are_said_so() -> None:
    task, notes = calibrated(53)
    assert task.calibration is None
    assert notes == [
        "probabilities are not calibrated: half of the 53 validation images are 26, 100 needed; "
        "--calibrate temperature does it with fewer",
        "no prediction sets: 53 validation images for their threshold, 100 needed; --prediction-sets lac "
        "makes them from 9 on",
    ]
    task, notes = calibrated(53, calibrate="temperature", prediction_sets="lac")
    known = task.calibration
    assert known is not None and known.scaling is not None and known.sets is not None
    low, high = known.scaling.interval
    assert high / low > 1.5 and known.sets.images == 27


def test_images_without_a_mistake_teach_no_temperature() -> None:
    labels = np.arange(400) % 6
    outputs = 8 * np.eye(6, dtype=np.float32)[labels]
    task, notes = fit(TASK, CalibrationConfig(prediction_sets="none"), 0, outputs, labels)
    assert task.calibration is None and "no mistake to learn from" in notes[0]


def test_a_vector_is_taken_where_it_is_better_alone() -> None:
    outputs, labels = drawn(3000)
    warped = (outputs * np.array([1, 1, 0.3, 1, 2, 1]) + np.array([0, 2, 0, -3, 0, 1])).astype(np.float32)
    settings = CalibrationConfig(calibrate="vector")
    task, notes = fit(TASK, settings, 0, warped, labels)
    assert task.calibration is not None and task.calibration.scaling is not None
    assert task.calibration.scaling.method == "vector" and notes[0].endswith("taken")
    task, notes = fit(TASK, settings, 0, outputs, labels)
    assert task.calibration is not None and task.calibration.scaling is not None
    assert task.calibration.scaling.method == "temperature" and "not shown to be better" in notes[0]


def test_abstention_promises_what_is_asked() -> None:
    task, _ = calibrated(2000, abstain="risk(0.2)")
    rule = task.calibration and task.calibration.abstention
    assert rule and (rule.wanted, rule.value, rule.confidence) == ("risk", 0.2, 0.95)
    fresh, labels = drawn(20_000, seed=5)
    scores = task.scores(fresh)
    given = ~rule(scores)
    assert (scores.argmax(axis=1) != labels)[given].mean() <= 0.2 < (scores.argmax(axis=1) != labels).mean()
    task, _ = calibrated(2000, abstain="coverage(0.6, confidence=0.99)")
    rule = task.calibration and task.calibration.abstention
    assert rule and 0.6 <= (~rule(task.scores(fresh))).mean() < 0.7
    task, notes = calibrated(300, abstain="risk(0.02)")
    assert task.calibration and task.calibration.abstention is None
    assert "show no threshold to hold it" in notes[2]


def test_several_labels_have_a_temperature_and_no_sets() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (400, 6))
    labels = (draw.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    task, _ = fit(Multilabel(CLASSES), CalibrationConfig(), 0, (3 * logits).astype(np.float32), labels)
    known = task.calibration
    assert known is not None and known.scaling is not None and known.sets is None
    assert known.scaling.interval[0] < 3 < known.scaling.interval[1]
    assert ((task.scores(logits) > 0.5) == (logits > 0)).all()


def test_nothing_asked_for_is_nothing_fitted() -> None:
    assert calibrated(1000, calibrate="none", prediction_sets="none") == (TASK, [])


@pytest.mark.parametrize(
    ("values", "images", "said"),
    [
        ({"calibrate": "temperature"}, 30, r"--calibrate temperature: .* 15 here; expected 20 or more"),
        ({"calibrate": "vector"}, 200, r"--calibrate vector: .* 100 here; expected 120 or more"),
        (
            {"prediction_sets": "aps", "coverage": 0.99},
            150,
            r"--coverage 0.99: needs 99 images.* half of the 150",
        ),
        ({"abstain": "risk(0.01)"}, 400, r"--abstain risk\(0.01\): needs 299 images .* are 200"),
    ],
)
def test_too_few_images_are_refused_before_training(
    values: dict[str, object], images: int, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        check(Config().replace(**values), TASK, images)
    check(Config(), TASK, 3)


@pytest.mark.parametrize("text", ["risk", "risk(2)", "luck(0.1)", "risk(0.1, 0.2)", "risk(x)", "coverage(0)"])
def test_an_abstention_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--abstain"):
        read_abstain(text)
    assert read_abstain("none") is None
    assert read_abstain("risk(0.1, confidence=0.9)") == ("risk", 0.1, 0.9)


def test_thresholds_that_are_tried_do_not_depend_on_images() -> None:
    tried = grid(10)
    assert tried[0] == pytest.approx(0.1) and 0.999999 < tried[-1] < 1 and (np.diff(tried) > 0).all()
