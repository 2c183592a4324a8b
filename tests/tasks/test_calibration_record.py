"""What task.json holds of a calibration: there and back, and refused where it is anything else."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgrec import tasks
from imgrec.errors import InputError
from imgrec.metrics.answers import sigmoid, softmax
from imgrec.tasks.calibration import Abstention, Calibration, Scaling, Sets
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel

CLASSES = ("ant", "bee", "cat")
SETS = Sets("aps", 0.9, 0.8, 120)
ABSTENTION = Abstention("risk", 0.05, 0.95, 0.7, 120)
TEMPERATURE = Scaling((1 / 0.623457,), (), 130, (0.5, 0.8))
VECTOR = Scaling((0.5, 1.0, 2.0), (0.1, 0.0, -0.1), 130)
LOGITS = np.array([[2, 0, -1], [0.3, 0.2, 0.1]], np.float32)


@pytest.mark.parametrize(
    "held",
    [
        Calibration(TEMPERATURE, SETS, ABSTENTION),
        Calibration(VECTOR),
        Calibration(None, SETS, None),
        Calibration(None, None, ABSTENTION),
    ],
)
def test_there_and_back(held: Calibration, tmp_path: Path) -> None:
    task = Multiclass(CLASSES, held)
    tasks.write(tmp_path, task)
    assert tasks.read(tmp_path) == task
    assert json.loads((tmp_path / "task.json").read_text())["format"] == 2


def test_a_run_of_old_has_none(tmp_path: Path) -> None:
    tasks.write(tmp_path, Multiclass(CLASSES))
    assert json.loads((tmp_path / "task.json").read_text()) == {"format": 1, "task": "multiclass"}
    assert tasks.read(tmp_path).calibration is None
    (tmp_path / "task.json").unlink()
    (tmp_path / "preprocess.json").write_text('{"labels": "several"}')
    assert tasks.read(tmp_path) == Multilabel(CLASSES)


def test_scores_are_of_scaled_logits() -> None:
    one, some = Multiclass(CLASSES, Calibration(TEMPERATURE)), Multilabel(CLASSES, Calibration(VECTOR))
    assert one.scores(LOGITS) == pytest.approx(softmax(LOGITS.astype(float) / 0.623457), abs=1e-6)
    assert some.scores(LOGITS) == pytest.approx(
        sigmoid(LOGITS * np.array(VECTOR.factors) + np.array(VECTOR.shifts)), abs=1e-6
    )
    assert one.plain.scores(LOGITS) == pytest.approx(Multiclass(CLASSES).scores(LOGITS), abs=0)
    # Figures, mistakes and the table are of the same probabilities.
    labels = np.array([1, 0])
    figures = one.figures(LOGITS, labels)
    assert figures["cross_entropy"] == pytest.approx(-np.log(one.scores(LOGITS)[[0, 1], labels]).mean(), 1e-5)
    assert float(one.table(["a", "b"], labels, LOGITS)[1][4]) == pytest.approx(one.scores(LOGITS).max(), 1e-4)
    (mistake,) = one.mistakes(["a", "b"], labels, LOGITS)
    assert mistake.probability == pytest.approx(float(one.scores(LOGITS)[0, 0]), 1e-5)


def test_answers_say_set_and_abstention() -> None:
    task = Multiclass(CLASSES, Calibration(None, Sets("lac", 0.9, 0.7, 9), ABSTENTION))
    first, second = task.decode(np.array([[0.8, 0.15, 0.05], [0.36, 0.33, 0.31]], np.float32), top=1)
    assert (first["set"], first["coverage"], first["abstained"]) == (["ant"], 0.9, False)
    assert (second["set"], second["abstained"]) == (["ant", "bee", "cat"], True)
    assert task.line(first).endswith("80.0 %  90 % set: ant")
    assert task.line(second).endswith("36.0 %  90 % set: ant, bee, cat  abstains")
    assert "set" not in Multiclass(CLASSES).decode(LOGITS)[0]


GOOD = {
    "temperature": Calibration(TEMPERATURE, SETS, ABSTENTION).record(),
    "vector": Calibration(VECTOR, SETS, ABSTENTION).record(),
}
HOSTILE: list[tuple[str, tuple[str, ...], Any, str]] = [
    ("temperature", ("scaling", "temperature"), value, "temperature is .*, expected a number above 0.001")
    for value in (0, -1.0, "0.6", True, None, float("nan"), float("inf"), 10**400, [], 1e9)
]
HOSTILE += [
    ("vector", ("scaling", "factors"), value, "factors is .*, expected 3 numbers above 0")
    for value in ([1.0, 1.0], [1.0, 1.0, "1"], [1.0, 1.0, -1.0], [1.0] * 10_000, 1.0, None, [1, 1, 1e300])
]
HOSTILE += [
    ("vector", ("scaling", "shifts"), [0.0, float("nan"), 0.0], "shifts is"),
    ("temperature", ("scaling", "method"), "isotonic", "one of temperature, vector"),
    ("temperature", ("scaling", "images"), 2.5, "scaling images is 2.5"),
    ("temperature", ("scaling", "images"), 0, "scaling images is 0"),
    ("temperature", ("scaling", "more"), 1, "scaling is .*, expected a mapping of"),
    ("temperature", ("scaling",), [], "scaling method is None"),
    ("temperature", ("sets", "method"), "raps", "one of lac, aps, aps_randomised"),
    ("temperature", ("sets", "method"), ["lac"], "sets method"),
    ("temperature", ("sets", "threshold"), float("inf"), "sets threshold is inf"),
    ("temperature", ("sets", "threshold"), -3, "sets threshold is -3"),
    ("temperature", ("sets", "coverage"), 1, "sets coverage is 1, expected a share"),
    ("temperature", ("sets", "images"), True, "sets images is True"),
    ("temperature", ("sets",), {"method": "lac"}, "sets is .*, expected a mapping"),
    ("temperature", ("abstention", "wanted"), "luck", "one of risk, coverage"),
    ("temperature", ("abstention", "value"), 0.0, "abstention value is 0.0"),
    ("temperature", ("abstention", "confidence"), "0.95", "abstention confidence is '0.95'"),
    ("temperature", ("abstention", "threshold"), None, "abstention threshold is None"),
    ("temperature", ("new",), None, "calibration is .*, expected a mapping of scaling, sets, abstention"),
]


@pytest.mark.parametrize(("start", "keys", "value", "said"), HOSTILE)
def test_hostile_values_are_refused_in_one_line(
    start: str, keys: tuple[str, ...], value: Any, said: str, tmp_path: Path
) -> None:
    record: dict[str, Any] = copy.deepcopy(GOOD[start])
    spot = record
    for key in keys[:-1]:
        spot[key] = dict(spot[key])
        spot = spot[key]
    spot[keys[-1]] = value
    tasks.write(tmp_path, Multiclass(CLASSES))
    whole = {"format": 2, "task": "multiclass", "calibration": record}
    (tmp_path / "task.json").write_text(json.dumps(whole))
    with pytest.raises(InputError, match=said) as caught:
        tasks.read(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_sets_are_for_one_class_an_image(tmp_path: Path) -> None:
    tasks.write(tmp_path, Multilabel(CLASSES, Calibration(TEMPERATURE, SETS)))
    with pytest.raises(InputError, match="a multilabel has no prediction sets"):
        tasks.read(tmp_path)
