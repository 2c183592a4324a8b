"""Recipes against imbalance: what each of them sets, what `auto` chooses, and that rare classes gain."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from sessions import session_of

from imgrec.config import Config
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.errors import InputError
from imgrec.learning import methods
from imgrec.learning.imbalance import RECIPES, Balance, choose
from imgrec.losses import build_loss
from imgrec.runs.session import decide
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.fit import Recording, fit_phases

COUNTS = [100, 30, 10]
CLASSES = ("cat", "dog", "elk")
TARGETS = np.eye(3, dtype="float32")
LOGITS = np.random.default_rng(0).normal(0, 1, (3, 3)).astype("float32")


def balance(recipe: str, **options: Any) -> Balance:
    return choose(recipe, options, COUNTS, CLASSES, "cross_entropy")


def values(chosen: Balance, loss: str = "cross_entropy") -> np.ndarray:
    return np.asarray(chosen.loss(build_loss, loss, 0.0).call(TARGETS, LOGITS))


PLAIN = np.asarray(build_loss("cross_entropy").call(TARGETS, LOGITS))


def test_samplings_leave_the_loss_alone_and_losses_the_sampling() -> None:
    for recipe in RECIPES:
        chosen = balance(recipe)
        samples = recipe in ("balanced", "sqrt", "over", "under")
        assert chosen.sampling == (recipe if samples else "natural")
        assert chosen.last_sampling == ("balanced" if recipe == "decoupled" else chosen.sampling)
        same = np.array_equal(values(chosen), PLAIN)
        assert same == (samples or recipe in ("none", "decoupled")), recipe


def test_weights_are_those_of_the_counts() -> None:
    np.testing.assert_allclose(values(balance("weights")) / PLAIN, np.array([140 / (3 * n) for n in COUNTS]))
    effective = values(balance("effective", beta=0.9)) / PLAIN
    shares = [(1 - 0.9**100) / (1 - 0.9**n) for n in COUNTS]
    np.testing.assert_allclose(effective / effective[0], shares, rtol=1e-5)


def test_logits_are_adjusted_by_tau() -> None:
    prior = np.log(np.array(COUNTS) / 140)
    expected = build_loss("cross_entropy").call(TARGETS, (LOGITS + 0.5 * prior).astype("float32"))
    np.testing.assert_allclose(values(balance("logit", tau=0.5)), expected, rtol=1e-5)


def test_logit_adjustment_takes_the_smoothing_over() -> None:
    prior = np.array(COUNTS) / 140
    found = balance("logit").loss(build_loss, "cross_entropy", 0.1).call(TARGETS, LOGITS)
    expected = build_loss("cross_entropy").call(0.9 * TARGETS + 0.1 * prior, LOGITS + np.log(prior))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_recipe_goes_around_another_loss() -> None:
    focal = np.asarray(build_loss("focal", 0.0).call(TARGETS, LOGITS))
    np.testing.assert_allclose(
        values(balance("weights"), "focal") / focal, values(balance("weights")) / PLAIN
    )
    np.testing.assert_array_equal(values(balance("focal", gamma=2)), focal)


def test_auto_measures_chooses_and_says_why() -> None:
    chosen = choose("auto", {}, COUNTS, CLASSES, "cross_entropy")
    assert (chosen.recipe, chosen.options) == ("logit", {"tau": 1.0})
    assert chosen.note.startswith("imbalance: 100 training images of cat, 10 of elk (ratio 10): logit adj")
    even = choose("auto", {}, [100, 51, 99], CLASSES, "cross_entropy")
    assert even.recipe == "none" and even.note.endswith("(ratio 1.96): too even to do anything about it")
    binary = choose("auto", {}, COUNTS, CLASSES, "binary_focal")
    assert binary.recipe == "weights" and "has no softmax" in binary.note


def test_none_says_where_something_could_be_done() -> None:
    assert "--imbalance auto makes the classes count alike" in balance("none").note
    assert choose("none", {}, [5, 5, 5], CLASSES, "cross_entropy").note == ""


@pytest.mark.parametrize(
    ("recipe", "options", "loss", "message"),
    [
        ("effectiv", {}, "cross_entropy", "unknown recipe of --imbalance 'effectiv': did you mean effective"),
        (
            "logit",
            {"tua": 1},
            "cross_entropy",
            "unknown option of --imbalance logit 'tua': did you mean tau?",
        ),
        ("sqrt", {"tau": 1}, "cross_entropy", "--imbalance sqrt takes no options, got 'tau'"),
        ("auto", {"tau": 1}, "cross_entropy", "--imbalance auto takes no options, got 'tau'"),
        ("effective", {"beta": 1.0}, "cross_entropy", "beta=1.0: expected a number from 0 to 1"),
        (
            "focal",
            {},
            "binary_focal",
            "--imbalance focal is a loss of its own: leave out --loss binary_focal",
        ),
        ("logit", {}, "binary_focal", "--loss binary_focal has none: use --imbalance weights"),
    ],
)
def test_contradictions_are_named(recipe: str, options: dict[str, Any], loss: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        choose(recipe, options, COUNTS, CLASSES, loss)
    assert message in str(caught.value)


def blurred(counts: list[int], seed: int) -> Split:
    """Bright or dark images whose classes overlap: the noise is as large as the difference."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(2), counts).astype(np.int32)
    level = np.where(labels == 0, 110, 146) + draw.normal(0, 18, len(labels))
    images = np.clip(level[:, None, None, None] + draw.normal(0, 5, (len(labels), 8, 8, 1)), 0, 255)
    return Split(tuple(map(str, range(len(labels)))), labels, images=images.astype(np.uint8))


def trained(recipe: str) -> tuple[list[float], list[dict[str, float]], list[np.ndarray]]:
    """Recall of both classes on an even test set, after a training on 20 to 1."""
    keras.utils.set_random_seed(0)
    split, preprocess = blurred([400, 20], 0), Preprocess((8, 8), "grey")
    pixels = keras.Input((8, 8, 1), name="image")
    level = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 32, -4)(pixels))
    features = keras.layers.Dense(4, "tanh", name="features")(level)
    model = keras.Model(pixels, keras.layers.Dense(2, name="logits")(features))
    config = Config().replace(
        optimizer="sgd", layer_decay=1.0, patience=0, freeze="none", weights="none",
        epochs=10, batch_size=60, learning_rate=0.3, label_smoothing=0.0, weight_decay=0.0, crop="none",
        flip=False, imbalance=recipe,
    )  # fmt: skip
    validation = blurred([100, 100], 1)
    source = Source(("dark", "bright"), "grey", split, validation, validation, "", "made", 8)
    goal, chosen = decide(config, source, Multiclass(source.classes))
    session = session_of(config, source, preprocess, model, goal=goal, balance=chosen)
    seen: list[np.ndarray] = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_layer("features").get_weights()[0].copy())
    )
    fitted = fit_phases(
        model,
        methods.choose(config).phases(session, 10),
        optim=config.optim,
        steps_per_epoch=session.steps_per_epoch,
        goal=goal,
        recording=Recording(callbacks=[keep]),
    )
    test = blurred([1000, 1000], 2)
    right = model.predict(test.images.astype("float32"), verbose=0).argmax(axis=1) == test.labels
    return [float(right[test.labels == c].mean()) for c in (0, 1)], fitted.history, seen


def test_every_recipe_but_focal_moves_the_border_to_the_middle() -> None:
    """At the middle, 128, both recalls are Φ(1) = .841; left alone, the rare class is passed over."""
    (common, rare), _, _ = trained("none")
    assert common > 0.97 and rare < 0.6
    for recipe in ("weights", "logit"):
        recalls, history, _ = trained(recipe)
        assert recalls == pytest.approx([0.841, 0.841], abs=0.07), recipe
        assert max(row["val_balanced_accuracy"] for row in history) > 0.8


def test_the_epoch_is_chosen_by_what_the_recipe_aims_at() -> None:
    split = blurred([8, 4], 0)
    source = Source(("dark", "bright"), "grey", split, split, split, "", "made", 8)
    for recipe in RECIPES:
        goal, _ = decide(Config().replace(imbalance=recipe), source, Multiclass(source.classes))
        assert goal.score == ("accuracy" if recipe == "none" else "balanced_accuracy")
        assert goal.score in [metric.name for metric in goal.metrics()]


def test_decoupled_holds_the_backbone_and_begins_the_schedule_anew() -> None:
    recalls, history, kernels = trained("decoupled")
    assert min(recalls) > 0.7
    assert len(history) == 10
    moved = [not np.array_equal(a, b) for a, b in itertools.pairwise(kernels)]
    assert moved == [True] * 7 + [False] * 2
    rates = [row["learning_rate"] for row in history]
    assert rates[7] < 0.01 < rates[8] and rates[9] < 0.01
