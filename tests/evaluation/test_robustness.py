"""Figures under corruption and shifts: by hand, by formula, by models whose answers are known."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from reports import evaluated
from robust_models import CLASSES, SIDE, given, learned, linear, split, subject

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.evaluations import requested
from imgrec.evaluation.page import fragment
from imgrec.evaluation.robustness import chosen, corruptions, shifts
from imgrec.metrics.intervals import wilson_interval
from imgrec.tasks.multiclass import Multiclass

WRONG = np.zeros((15, 2, 4), bool)
WRONG[0, 0] = [True, True, False, False]
WRONG[0, 1] = True
WRONG[1:, :, 0] = True
CLEAN = np.array([True, False, False, False])


def test_figures_are_the_means_of_the_field() -> None:
    told = corruptions.figures(CLEAN, WRONG, [1, 5])
    assert told["clean"] == {"error": 0.25, "interval_95": wilson_interval(1, 4)}
    first = told["by_corruption"][0]
    assert [cell["error"] for cell in first["severities"]] == [0.5, 1.0] and first["mean_error"] == 0.75
    assert first["name"] == "gaussian_noise" and told["by_corruption"][-1]["name"] == "jpeg"
    assert told["mean_error"] == pytest.approx((0.75 + 14 * 0.25) / 15)
    assert told["relative_to_clean"] == pytest.approx(told["mean_error"] / 0.25)
    low, high = told["mean_error_interval_95"]
    assert low < told["mean_error"] < high
    # Of four images the wrong one is drawn not once in 0.32 of all draws: no ratio to a clean error of 0.
    assert told["relative_to_clean_interval_95"] is None
    assert corruptions.figures(np.zeros(4, bool), WRONG, [1, 5])["relative_to_clean"] is None


def test_mce_is_the_papers_formula() -> None:
    theirs = np.zeros((15, 2, 4), bool)
    theirs[:, :, :2] = True
    told = corruptions.against((CLEAN, WRONG), (CLEAN, theirs))
    assert told["mce"] == pytest.approx(np.mean([0.75 / 0.5, *[0.25 / 0.5] * 14]))
    # Clean errors are 0.25 for both: 0.5 is added in the first, nothing in the others, 0.25 to the baseline.
    assert told["relative_mce"] == pytest.approx(np.mean([0.5 / 0.25, *[0.0] * 14]))
    same = corruptions.against((CLEAN, theirs), (CLEAN, theirs))
    assert same["mce"] == same["relative_mce"] == 1
    none = corruptions.against((CLEAN, theirs), (CLEAN, np.zeros_like(theirs)))
    assert none == dict.fromkeys(("mce", "mce_interval_95", "relative_mce", "relative_mce_interval_95"))


def test_bootstrap_intervals_are_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).random((400, 2))
    low, high = chosen.interval(chosen.resampled(values)[:, 0])
    assert high - low == pytest.approx(2 * 1.96 * values[:, 0].std() / 20, rel=0.1)
    assert low < values[:, 0].mean() < high


@pytest.mark.parametrize(
    ("value", "found"), [("1..5", [1, 2, 3, 4, 5]), ((5, 1, 5), [1, 5]), (3, [3]), ("2", [2])]
)
def test_severities_are_read(value: object, found: list[int]) -> None:
    assert corruptions.severities_of(value) == found


@dataclass
class Watched:
    """Answers right where an image is brighter than half, and keeps what it saw."""

    seen: list[np.ndarray]

    def __call__(self, shown: Split) -> NDArray[np.bool_]:
        assert shown.images is not None
        self.seen.append(shown.images)
        return shown.images.mean(axis=(1, 2, 3)) > 127


def test_all_who_answer_see_the_same_pixels_and_those_of_a_subset_too() -> None:
    task = Multiclass(CLASSES)
    images, way = split(6, task), Preprocess((SIDE, SIDE), "grey")
    one, other, few = Watched([]), Watched([]), Watched([])
    both = [chosen.Answering("a", way, one), chosen.Answering("b", way, other)]
    (clean, wrong), again = corruptions.measure(both, images, [2, 4], seed=7)
    assert clean.shape == (6,) and wrong.shape == (15, 2, 6)
    np.testing.assert_array_equal(wrong, again[1])
    for mine, theirs in zip(one.seen, other.seen, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    places = np.array([1, 4])
    corruptions.measure([chosen.Answering("c", way, few)], images.take(places), [2, 4], seed=7)
    for mine, theirs in zip(one.seen, few.seen, strict=True):
        np.testing.assert_array_equal(mine[places], theirs)


def test_adaptive_steps_run_on_what_was_corrupted() -> None:
    """What is deployed sees the corrupted image and answers that: the steps come after, not before."""
    task = Multiclass(CLASSES)
    one = subject(task, linear(task), adapt="lowlight(110)")
    assert chosen.of_subject("model", one).bare.adapt == "none"
    dark = Split(("a",), np.zeros(1, np.int32), np.full((1, SIDE, SIDE, 1), 9, np.uint8))
    held = corruptions.prepared(dark, chosen.of_subject("model", one).bare)
    np.testing.assert_array_equal(held.images, dark.images)


def test_the_section_of_corruptions_has_every_row_and_its_example() -> None:
    task = Multiclass(CLASSES)
    one, images = learned(task)
    section = requested("corruptions(severities=[1, 5], images=12)")["corruptions"](given(one, images))
    assert section is not None
    told = section.json["corruptions"]
    assert told["images"] == 12 and told["clean"]["error"] == 0 and told["relative_to_clean"] is None
    assert told["by_severity"][0]["error"] < told["by_severity"][1]["error"]
    page = fragment(section.template, section.data)
    assert page.count("<tr>") == 17 and page.count("data:image/png") == 15 and "<svg" in page
    assert "Baseline" not in page and "times the clean error" not in page


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("corruptions(severities=6)", "expected severities from 1 to 5"),
        ("corruptions(severities=1..x)", "expected severities from 1 to 5"),
        ("corruptions(images=0)", "expected a whole number from 1"),
        ("corruptions(seed=-1)", "expected a whole number from 0"),
        ("corruptions(file=no/model.tflite)", "no such file"),
        ("attacks(epsilon=-2)", "expected levels of 0…255 above 0"),
        ("attacks(epsilon=[])", "expected one strength"),
        ("attacks(steps=0)", "expected a whole number from 1"),
        ("attacks(l2=true)", "expected levels"),
        ("shifts(images=1.5)", "expected a whole number from 1"),
        ("shifts(angle=3)", "unknown option"),
    ],
)
def test_wrong_options_are_refused_in_words(asked: str, told: str) -> None:
    one, images = learned(Multiclass(CLASSES))
    with pytest.raises(InputError, match=told):
        (evaluation,) = requested(asked).values()
        evaluation(given(one, images))


def test_without_a_model_it_is_said_how_to_ask() -> None:
    with pytest.raises(InputError, match="evaluate --also shifts"):
        requested("shifts")["shifts"](evaluated(Multiclass(CLASSES)))


def test_shifts_do_what_their_names_say() -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    hidden = shifts.occlude(image, 0.5, 0, "a")
    changed = (hidden != image).any(axis=-1)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert np.ptp(rows) == 9 and np.ptp(columns) == 9
    np.testing.assert_array_equal(hidden[rows[0], columns[0]], np.rint(image.mean(axis=(0, 1))))
    assert (shifts.occlude(image, 0.5, 0, "b") != hidden).any()
    square = image[:, :20]
    np.testing.assert_array_equal(shifts.rotate(square, 90), np.rot90(square))
    np.testing.assert_array_equal(shifts.rotate(image, 180), image[::-1, ::-1])
    moved = shifts.translate(image, 0.1, -0.25)
    np.testing.assert_array_equal(moved[:-5, 3:], image[5:, :-3])
    np.testing.assert_array_equal(moved[:-5, :3], np.repeat(image[5:, :1], 3, axis=1))
    assert math.isclose(shifts.rotate(image, 0).mean(), image.mean())
    np.testing.assert_array_equal(shifts.occlude(image, 0, 0, "a"), image)


def test_the_section_of_shifts_starts_at_the_accuracy_of_unchanged_images() -> None:
    one, images = learned(Multiclass(CLASSES))
    section = requested("shifts(images=10)")["shifts"](given(one, images))
    assert section is not None
    curves = section.json["shifts"]["curves"]
    assert list(curves) == ["occlusion", "rotation", "translation"]
    for along in curves.values():
        assert along["sizes"][0]["accuracy"] == 1 and along["sizes"][0]["interval_95"] == [1, 1]
        assert min(row["accuracy"] for row in along["sizes"]) < 1
    assert fragment(section.template, section.data).count("<svg") == 3
