"""What observers are told of each image, and that one that fails harms nobody."""

import logging
from pathlib import Path

import numpy as np
import pytest
from linear import pictures, reference
from servers import png

from imgrec.serving.answering import Answering
from imgrec.serving.observed import Observers, Request, Seen, seen_of
from imgrec.serving.predictor import Predictor
from imgrec.serving.wire import PREDICT, Frame
from imgrec.watching import measures


@pytest.fixture(scope="module")
def answering(linear_file: Path) -> Answering:
    return Answering(Predictor.load(linear_file), "linear", "v" * 64, "tflite")


def told(answering: Answering, images: np.ndarray) -> list[Seen]:
    """What the server is told when these come one after the other and are answered together."""
    jobs = [Frame(k + 1, PREDICT, text=b"id\nimage/png", body=png(image)) for k, image in enumerate(images)]
    request = Request("id", "key", "active", answering.facts, 0.5, b"picture")
    return [each for reply in answering.answer(jobs) for each in seen_of(request, reply)]


def test_of_each_image_the_server_hears_what_it_is_like_and_how_sure_the_answer_is(
    answering: Answering,
) -> None:
    images = pictures(4)
    seen = told(answering, images)
    ordered = np.sort(reference(images), axis=1)
    assert [each.label for each in seen] == reference(images).argmax(1).tolist()
    np.testing.assert_allclose([each.probability for each in seen], ordered[:, -1], atol=1e-5)
    np.testing.assert_allclose([each.margin for each in seen], ordered[:, -1] - ordered[:, -2], atol=1e-5)
    for each, image in zip(seen, images, strict=True):
        exact = {name: float(np.float32(value)) for name, value in measures.of(image).items()}
        assert each.values == exact  # to the last bit of what a run folder keeps
    assert (seen[0].id, seen[0].key, seen[0].role, seen[0].picture) == ("id", "key", "active", b"picture")


def test_an_observer_that_fails_is_logged_once_and_others_are_told(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Seen] = []

    def fails(seen: Seen) -> None:
        raise ValueError("mine")

    observers = Observers()
    observers += [fails, heard.append]
    seen = told(answering, pictures(3))
    with caplog.at_level(logging.ERROR):
        observers.tell(seen)
        observers.tell(seen)
    assert heard == seen * 2 and len(caplog.records) == 1 and "mine" in caplog.text
