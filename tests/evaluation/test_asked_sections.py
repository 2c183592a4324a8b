"""Dropout and views as sections, of a network with random weights: their figures hold together."""

from typing import Any

import numpy as np
import pytest

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.page import fragment
from imgrec.evaluation.sections.thinned import Doubt, dropout
from imgrec.evaluation.sections.views import views
from imgrec.evaluation.subject import Subject
from imgrec.models import build_model
from imgrec.tasks.multiclass import Multiclass


def given(**more: Any) -> Evaluated:
    draw = np.random.default_rng(0)
    split = Split(
        tuple(map(str, range(40))),
        (np.arange(40) % 3).astype(np.int32),
        images=draw.integers(0, 256, (40, 28, 28, 1), dtype=np.uint8),
    )
    task = Multiclass(("a", "b", "c"))
    model = build_model("resnet8", (28, 28, 1), 3, width=8, **more)
    subject = Subject(model, task, Preprocess((28, 28), colour="grey"), 16)
    config = {"augment": "", "crop": "none", "crop_share": 0.125, "flip": True}
    return Evaluated(
        title="t", task=task, figures={}, config=config, data={}, versions={}, subject=subject, split=split
    )


def test_doubt_is_entropy_and_what_of_it_is_disagreement() -> None:
    passes = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])
    doubt = Doubt.of(passes)
    np.testing.assert_allclose(doubt.entropy, np.log(2))
    np.testing.assert_allclose(doubt.information, [0, np.log(2)], atol=1e-12)


def test_dropout_says_how_sure_it_is() -> None:
    section = dropout(given(dropout=0.5), samples=4, images=30)
    told = section.json["dropout"]
    assert told["images"] == 30 and told["samples"] == 4
    assert 0 < told["mutual_information"]["all"] < told["entropy"]["all"] < np.log(3) + 1e-9
    page = fragment(section.template, section.data)
    assert "4 passes with dropout at work over 30 test images" in page and "<svg" in page
    with pytest.raises(InputError, match="has no dropout"):
        dropout(given())
    with pytest.raises(InputError, match="samples=1: expected a whole number from 2"):
        dropout(given(), samples=1)


def test_views_are_paired_with_the_single_one() -> None:
    section = views(given(), n=8)
    told = section.json["views"]
    assert told["views"] == 2 and told["which"] == ["as they are", "mirrored"] and told["images"] == 40
    assert told["paired"]["difference"] == pytest.approx(told["mean"] - told["single"])
    assert "8 views were asked for" in fragment(section.template, section.data)
