"""Figures under corruption, attacks and shifts: by hand, by formula, by models whose answers are known."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from reports import evaluated
from scipy.special import expit, softmax

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.evaluations import requested
from imgrec.evaluation.page import fragment
from imgrec.evaluation.robustness import chosen, corruptions, shifts
from imgrec.evaluation.robustness.attacks import Ball, Descent, fgsm, gradient_of, pgd
from imgrec.evaluation.subject import Subject
from imgrec.metrics.intervals import wilson_interval
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task

SIDE = 16
CLASSES = ("left", "right", "top")


def linear(task: Task, scale: float = 1.0, seed: int = 0) -> keras.Model:
    """Logits that are a linear function of the pixels, so that every gradient has a formula."""
    image = keras.Input((SIDE, SIDE, 1), name="image")
    logits = keras.layers.Dense(task.outputs, name="logits")(keras.layers.Flatten()(image))
    model = keras.Model(image, logits)
    weights = scale * np.random.default_rng(seed).normal(0, 0.01, (SIDE * SIDE, task.outputs))
    model.set_weights([weights - weights.mean(axis=0), np.zeros(task.outputs)])
    return model


def subject(task: Task, model: keras.Model, **more: Any) -> Subject:
    return Subject(model, task, Preprocess((SIDE, SIDE), "grey", **more), 8)


def split(count: int, task: Task) -> Split:
    draw = np.random.default_rng(1)
    labels: np.ndarray = draw.integers(0, task.outputs, count).astype(np.int32)
    if task.labels == "classes":
        labels = draw.integers(0, 2, (count, task.outputs)).astype(np.float32)
    images = draw.integers(30, 220, (count, SIDE, SIDE, 1), np.uint8)
    return Split(tuple(f"{i}.png" for i in range(count)), labels, images)


def learned(task: Task, count: int = 24) -> tuple[Subject, Split]:
    """A linear model, and images whose labels are its own answers."""
    model = linear(task)
    held = split(count, task)
    assert held.images is not None
    logits = model.predict(held.images.astype(np.float32), verbose=0)
    labels = logits.argmax(axis=1).astype(np.int32)
    if task.labels == "classes":
        labels = (logits > 0).astype(np.float32)
    return subject(task, model), Split(held.ids, labels, held.images)


def given(one: Subject, images: Split) -> Evaluated:
    return evaluated(one.task, subject=one, split=images)


def test_the_gradient_is_that_of_cross_entropy_of_logits() -> None:
    task = Multiclass(CLASSES)
    one, images = subject(task, linear(task)), split(9, task)
    weights = one.model.get_weights()[0].astype(np.float64)
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    probable = softmax(pixels.reshape(9, -1).astype(np.float64) @ weights, axis=1)
    expected = (probable - np.eye(3)[images.labels]) @ weights.T
    found = gradient_of(one)(pixels, images.labels)
    np.testing.assert_allclose(found.reshape(9, -1), expected, atol=1e-6)


def test_the_gradient_of_labels_is_that_of_binary_cross_entropy() -> None:
    task = Multilabel(CLASSES)
    one, images = subject(task, linear(task)), split(9, task)
    weights = one.model.get_weights()[0].astype(np.float64)
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    expected = (expit(pixels.reshape(9, -1) @ weights) - images.labels) @ weights.T / 3
    found = gradient_of(one)(pixels, images.labels)
    np.testing.assert_allclose(found.reshape(9, -1), expected, atol=1e-6)


def test_a_model_that_is_sure_still_has_a_gradient() -> None:
    task = Multiclass(CLASSES)
    one, images = subject(task, linear(task, scale=2)), split(9, task)
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    logits = one.model.predict(pixels, verbose=0)
    assert (softmax(logits, axis=1).max(axis=1) == 1).any()
    found = gradient_of(one)(pixels, logits.argmax(axis=1).astype(np.int32))
    assert (np.abs(found).max(axis=(1, 2, 3)) > 0).all()


def network() -> tuple[Subject, Split]:
    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 1), name="image")
    x = keras.layers.Conv2D(4, 3, activation="tanh")(image / 255.0)
    x = keras.layers.BatchNormalization()(x)
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x))
    task = Multiclass(CLASSES)
    return subject(task, keras.Model(image, logits)), split(6, task)


def test_fgsm_is_one_step_along_the_sign_of_a_direct_gradient() -> None:
    import tensorflow as tf

    one, images = network()
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    held = tf.Variable(pixels)
    with tf.GradientTape() as tape:
        total = tf.nn.sparse_softmax_cross_entropy_with_logits(images.labels, one.model(held, training=False))
    direct = tape.gradient(total, held).numpy()
    found = gradient_of(one)(pixels, images.labels)
    np.testing.assert_allclose(found, direct, rtol=1e-4, atol=1e-9)
    moved = fgsm(gradient_of(one), pixels, images.labels, 3)
    np.testing.assert_array_equal(moved, np.clip(pixels + 3 * np.sign(found), 0, 255))
    assert np.isin(moved - pixels, (-3, 0, 3)).all()


@pytest.mark.parametrize(("norm", "radius"), [("linf", 4.0), ("l2", 30.0)])
def test_pgd_stays_in_its_ball_and_raises_the_loss_more_than_one_step(norm: str, radius: float) -> None:
    one, images = network()
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    moved = pgd(gradient_of(one), pixels, images.labels, Ball(norm, radius), Descent(20))
    change = (moved - pixels).astype(np.float64).reshape(6, -1)
    sizes = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
    assert (sizes <= radius * (1 + 1e-5)).all() and (sizes > 0.9 * radius).all()
    assert moved.min() >= 0 and moved.max() <= 255

    def loss(shown: NDArray[np.floating]) -> float:
        return float(
            one.task.loss("auto", 0.0).call(np.eye(3)[images.labels], one.model(shown)).numpy().mean()
        )

    steps = [
        loss(pgd(gradient_of(one), pixels, images.labels, Ball(norm, radius), Descent(n, 2.5 / n)))
        for n in (1, 40)
    ]
    assert loss(pixels) < steps[0] <= steps[1] + 1e-6


def test_on_a_linear_model_pgd_finds_the_best_change_there_is() -> None:
    task = Multiclass(("a", "b"))
    one, images = subject(task, linear(task)), split(5, task)
    pixels = np.full((5, SIDE, SIDE, 1), 127.0, np.float32)
    weights = one.model.get_weights()[0]
    away = (weights[:, 1 - images.labels] - weights[:, images.labels]).T.reshape(pixels.shape)
    linf = pgd(gradient_of(one), pixels, images.labels, Ball("linf", 5), Descent(40))
    np.testing.assert_allclose(linf, pixels + 5 * np.sign(away), atol=1e-4)
    l2 = pgd(gradient_of(one), pixels, images.labels, Ball("l2", 20), Descent(60, 0.2))
    best = pixels + 20 * away / np.linalg.norm(away.reshape(5, -1), axis=1).reshape(5, 1, 1, 1)
    np.testing.assert_allclose(l2, best, atol=0.15)


def test_random_starts_fill_the_ball_evenly() -> None:
    shape = (4000, 2, 1, 1)
    draw = np.random.default_rng(0)
    for ball in (Ball("l2", 3.0), Ball("linf", 3.0)):
        start = ball.start(draw, shape).reshape(4000, 2)
        sizes = np.linalg.norm(start, axis=1) if ball.norm == "l2" else np.abs(start).max(axis=1)
        assert sizes.max() <= 3.0
        # In two dimensions a quarter of the ball lies within half of its radius, for both norms.
        assert (sizes < 1.5).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("task", [Multiclass(CLASSES), Multilabel(CLASSES)], ids=["class", "classes"])
def test_the_section_of_attacks_falls_with_strength_and_to_nothing_without_a_bound(task: Task) -> None:
    one, images = learned(task)
    section = requested("attacks(epsilon=[1, 30], steps=10, images=20)")["attacks"](given(one, images))
    assert section is not None
    told = section.json["attacks"]
    assert told["clean"]["accuracy"] == 1 and told["images"] == 20
    weak, strong = told["strengths"]
    assert weak["fgsm"]["accuracy"] >= weak["pgd"]["accuracy"] > strong["pgd"]["accuracy"]
    assert weak["l2_radius"] == pytest.approx(SIDE / 3)
    assert told["unbounded"] == {"images": 20, "accuracy": 0.0, "interval_95": wilson_interval(0, 20)}
    assert told["doubts"] == []
    assert "The gradient can be trusted" in fragment(section.template, section.data)


def test_a_masked_gradient_is_told() -> None:
    """A staircase has no gradient: attacks fail, which is no robustness."""
    task = Multiclass(CLASSES)
    one, images = learned(task)
    image = keras.Input((SIDE, SIDE, 1))
    stairs = keras.layers.Lambda(lambda x: keras.ops.round(x / 8) * 8)(image)
    masked = subject(task, keras.Model(image, one.model(stairs)))
    section = requested("attacks(epsilon=2, steps=5)")["attacks"](given(masked, images))
    assert section is not None and section.json["attacks"]["unbounded"]["accuracy"] > 0
    page = fragment(section.template, section.data)
    assert "These figures may look better than they are" in page and "can be trusted" not in page


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
