"""Slices, hard images and the model card, on answers made so that one knows what must be found."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reports import EVIL, evaluated
from scipy.stats import fisher_exact

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.evaluation.hard import ambiguous, confused, hardest
from imgrec.evaluation.image_facts import image_facts
from imgrec.evaluation.model_card import write_card
from imgrec.evaluation.report import write_report
from imgrec.evaluation.slices import sliced
from imgrec.evaluation.stored import Stored
from imgrec.metrics.intervals import wilson_interval
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel

TASK = Multiclass(("a", "b", "c"))


def stored(probabilities: list[list[float]], labels: list[int]) -> Stored:
    ids = tuple(f"{index}.png" for index in range(len(labels)))
    return Stored(ids, np.array(labels, np.int32), np.log(np.array(probabilities, np.float32)))


HELD = stored(
    [
        [0.8, 0.1, 0.1],
        [0.1, 0.85, 0.05],
        [0.3, 0.6, 0.1],
        [0.48, 0.47, 0.05],
        [0.02, 0.08, 0.9],
        [0.2, 0.3, 0.5],
    ],
    [0, 0, 0, 0, 2, 1],
)


def test_the_pair_confused_most_comes_first_with_its_surest_mistakes():
    first, second = confused(TASK, HELD, 6, 4)
    assert (first.label, first.predicted, first.count, first.images) == ("a", "b", 2, 4)
    assert [answer.id for answer in first.shown] == ["1.png", "2.png"]
    assert (second.label, second.predicted, second.count, second.images) == ("b", "c", 1, 1)
    assert (
        confused(Multilabel(("a", "b")), Stored(("x",), np.ones((1, 2), np.float32), np.ones((1, 2))), 6, 4)
        == []
    )


def test_hard_images_are_those_of_unlikely_truth_and_ambiguous_ones_of_two_near_answers():
    assert [answer.id for answer in hardest(TASK, HELD, 3)] == ["1.png", "2.png", "5.png"]
    assert [answer.id for answer in hardest(TASK, HELD, 2, apart={1})] == ["2.png", "5.png"]
    first = ambiguous(TASK, HELD, 2)[0]
    assert (first.id, first.label, first.predicted, first.right) == ("3.png", "a", "a", True)


def test_a_slice_that_is_answered_worse_is_found_and_luck_is_not():
    rng = np.random.default_rng(0)
    camera = np.array(["old", "new"])[(np.arange(600) % 6 > 0).astype(int)]
    right = np.where(camera == "old", rng.random(600) < 0.6, rng.random(600) < 0.9)
    held = sliced(
        right, {"camera": camera, "hour": rng.integers(0, 24, 600), "id": np.arange(600).astype(str)}
    )
    worst = held.slices[0]
    old = camera == "old"
    assert (worst.attribute, worst.value, worst.images, worst.weak) == ("camera", "old", 100, True)
    assert worst.share == right[old].mean() and worst.interval_95 == wilson_interval(
        int(right[old].sum()), 100
    )
    table = [[right[old].sum(), (~right[old]).sum()], [right[~old].sum(), (~right[~old]).sum()]]
    assert worst.p_holm == pytest.approx(len(held.slices) * fisher_exact(table).pvalue)
    assert [each.value for each in held.slices if each.weak] == ["old"]
    assert {each.attribute for each in held.slices} == {"camera", "hour", "id"}, "numbers are cut into thirds"
    called = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        luck = sliced(rng.random(300) < 0.8, {name: rng.random(300) for name in "abcdef"})
        called += any(each.weak for each in luck.slices)
    assert called <= 10, "eighteen slices of no meaning are called weak in one set of twenty, or fewer"


def test_small_slices_and_columns_of_many_words_are_said_and_not_judged():
    right = np.ones(27, bool)
    held = sliced(right, {"camera": ["x"] * 20 + ["y"] * 7, "note": [f"n{index} x" for index in range(27)]})
    assert held.slices == ()
    assert [str(each) for each in held.left_out][:2] == ["camera x: 20 images", "camera y: 7 images"]
    many = sliced(np.ones(60, bool), {"note": [f"n{index} x" for index in range(60)]})
    assert [str(each) for each in many.left_out] == ["note: 60 different values"]


def test_facts_of_images_are_their_brightness_contrast_and_sharpness():
    flat = np.full((3, 32, 32, 1), 100, np.uint8)
    flat[1] += 100
    flat[2, ::2] = 140
    split = Split(("a", "b", "c"), np.zeros(3, np.int32), flat)
    facts = image_facts(split, Preprocess((32, 32), "grey", "crop"))
    assert facts["brightness"].tolist() == [100, 200, 120] and facts["contrast"].tolist() == [0, 0, 20]
    assert facts["sharpness"][0] == facts["sharpness"][1] == 0 < facts["sharpness"][2]
    assert "shorter side" not in facts, "all are of one size"


def test_the_model_card_says_what_was_measured(tmp_path: Path):
    given = evaluated(TASK)
    write_card(tmp_path, given, write_report(tmp_path, given))
    text = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    plain = re.sub(r"`[^`]*`", "", text)  # between backticks nothing is markup
    assert "<script>" not in plain.replace("\\\\<script\\\\>", "") and EVIL not in plain
    assert f"| Accuracy | {100 * given.figures['accuracy']:.1f}\u00a0% |" in text
    assert "Measured on 18 test images, which chose nothing. So few images tell little" in text
    assert "Do not ship" in text and "| Log loss |" in text
    assert "random weights, so no one else's licence is on them" in text
    assert "nothing was fitted to correct them" in text and "None" not in text
    lite = replace(given, config={"weights": "imagenet", "model": "efficientnet_lite0"})
    write_card(tmp_path, lite, write_report(tmp_path, lite))
    assert "ImageNet weights, Apache-2.0" in (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    absent = replace(given, data={"train": [9, 9, 9], "test": [6, 0, 6]})
    write_card(tmp_path, absent, write_report(tmp_path, absent))
    assert "The test images have none of b" in (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
