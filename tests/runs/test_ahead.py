"""What is known before a training begins: what comes after it, and what always the same answer reaches."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from sessions import session_of

from imgrec.config import Config
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.learning.session import Session
from imgrec.runs.ahead import FILE_SECONDS, REPORT_SECONDS, after_training, after_tuning
from imgrec.runs.fitting import watch


def split(*counts: int) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return Split(
        tuple(map(str, range(len(labels)))), labels, images=np.zeros((len(labels), 8, 8, 1), np.uint8)
    )


@pytest.fixture
def session() -> Session:
    config = Config().replace(
        batch_size=50, epochs=3, warmup_epochs=2.0, quantize="qat", qat_epochs=2, calibration_images=40,
        label_smoothing=0.0,
    )  # fmt: skip
    pixels = keras.Input((8, 8, 1))
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(pixels)))
    source = Source(("cat", "dog"), "grey", split(60, 40), split(12, 8), split(20, 10), "", "made", 8)
    return session_of(config, source, Preprocess((8, 8), "grey"), model)


def test_what_comes_after_a_training_in_its_epochs(session: Session) -> None:
    """In forward passes: an epoch is 3.2 × 100 + 20 = 340, one for int8 8 × 100 + 20 = 820."""
    tested = 30 + 3 * 2 * 30  # once as a batch, and every image alone through three files
    found = after_training(session, 2000)
    assert found.epochs == pytest.approx((tested + 2 * 40 + 2 * 820) / 340)
    assert found.seconds == REPORT_SECONDS + 3 * FILE_SECONDS
    fewer = after_training(session, 10)
    assert found.epochs - fewer.epochs == pytest.approx(3 * 2 * 20 / 340)
    tuned = after_tuning(session, "qat", 2000)
    assert (tuned.epochs, tuned.seconds) == (pytest.approx(2 * 30 / 820), REPORT_SECONDS + FILE_SECONDS)


def test_the_watch_knows_the_largest_class(session: Session) -> None:
    watching = watch(session)
    assert watching.constant is not None and watching.constant.name == "cat"
    assert watching.constant.loss == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.4)), rel=1e-3)
    assert (watching.constant.shares, watching.constant.images) == ((0.6, 0.6), (100, 20))
    assert (watching.validation, watching.least) == (20, 4)
    balanced = replace(session, goal=replace(session.goal, score="balanced_accuracy"))
    assert watch(balanced).constant is None
