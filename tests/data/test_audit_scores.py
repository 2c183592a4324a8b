"""Scores of images against closed forms, and suspects against labels that were flipped."""

import cv2
import numpy as np
import pytest
from pictures import picture
from sklearn.metrics import roc_auc_score

from imgrec.data.audit import gradients, noise, suspects
from imgrec.data.audit.compare import image_facts
from imgrec.data.audit.scores import THUMBNAIL_BYTES, measure, reduce
from imgrec.data.sources.sample import load_sample


def wave(step, side=128, amplitude=100.0):
    """A grey wave along x, `step` radians a pixel."""
    row = 127.5 + amplitude * np.sin(step * np.arange(side))
    return np.repeat(np.rint(row).astype(np.uint8)[np.newaxis], side, axis=0)[..., np.newaxis]


@pytest.mark.parametrize("periods", [3, 8, 20])
def test_a_wave_s_scores_are_those_of_the_formula(periods):
    step = 2 * np.pi * periods / 128
    scores, _ = measure(wave(step))
    assert scores.brightness == pytest.approx(0.5, abs=0.002)
    assert scores.contrast == pytest.approx(100 / np.sqrt(2) / 255, rel=0.01)
    # Correlation over two pixels: cos(2 step) along x, 1 along y.
    assert scores.blur == pytest.approx((np.cos(2 * step) + 1) / 2, abs=0.01)


def test_blur_rises_with_blurring_and_not_with_contrast():
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    rising = [
        measure(cv2.GaussianBlur(image, (0, 0), s) if s else image)[0].blur for s in (0, 0.7, 1.5, 3, 6)
    ]
    assert rising == sorted(rising) and abs(rising[0]) < 0.02 and rising[-1] > 0.9
    flat = (image // 4 + 96).astype(np.uint8)
    assert measure(flat)[0].blur == pytest.approx(rising[0], abs=0.02)


@pytest.mark.parametrize("transmission", [1.0, 0.7, 0.3])
def test_haze_is_what_the_physical_model_adds(transmission):
    """I = J t + A (1 - t) with white A, over an image whose dark channel is 0."""
    image = picture(200, 200)
    image[..., 2] = 0
    hazy = np.rint(image * transmission + 255 * (1 - transmission)).astype(np.uint8)
    assert measure(hazy)[0].haze == pytest.approx(1 - transmission, abs=0.01)


def test_a_photo_and_its_half_score_alike():
    image = cv2.GaussianBlur(picture(480, 640), (0, 0), 2)
    half = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
    for one, other in zip(measure(image)[0], measure(half)[0], strict=True):
        assert one == pytest.approx(other, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 9, 3), (300, 1, 3), (2, 2, 1), (513, 511, 1)])
def test_pictures_of_any_shape_are_measured(shape):
    scores, thumbnail = measure(np.full(shape, 77, np.uint8))
    assert scores == (pytest.approx(77 / 255), 0.0, 1.0, pytest.approx(77 / 255)) and scores.blank
    assert (
        np.unique(np.frombuffer(thumbnail, np.uint8)).tolist() == [77] and len(thumbnail) == THUMBNAIL_BYTES
    )


@pytest.mark.parametrize("shape", [(700, 900, 3), (256, 300, 1), (255, 4000, 3)])
def test_a_reduced_picture_is_measured_as_the_whole(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert min(reduce(pixels).shape[:2]) < 256
    assert measure(reduce(pixels)) == measure(pixels)


def test_grey_and_equal_colours_are_one():
    grey = picture(90, 120)[..., :1]
    one, two = measure(grey), measure(np.repeat(grey, 3, axis=-1))
    assert one[0] == pytest.approx(two[0]) and one[1] == two[1]


def test_gradient_histograms_point_across_edges():
    """A wave along x has all its gradients in the direction bin of 0."""
    for turned, number in ((False, 0), (True, 4)):
        image = wave(2 * np.pi * 8 / 128)
        image = np.ascontiguousarray(image.transpose(1, 0, 2)) if turned else image
        row = gradients.describe(np.frombuffer(measure(image)[1], np.uint8)[np.newaxis])
        cells = row[0, :512].reshape(8, 8, 8)
        assert row.shape == (1, 768) and np.linalg.norm(cells) == pytest.approx(3, abs=1e-4)
        assert (cells[1:-1, 1:-1].argmax(axis=2) == number).all()


@pytest.fixture(scope="module")
def flipped():
    """2,000 of the sample's test images, 5 % of their labels flipped: features, labels, digests, which."""
    source = load_sample()
    held = image_facts({"test": source.test}, source.classes, {})
    draw = np.random.default_rng(0)
    labels = source.test.labels.astype(np.int64)
    chosen = draw.choice(len(labels), 100, replace=False)
    labels[chosen] = (labels[chosen] + draw.integers(1, 10, 100)) % 10
    return gradients.describe(held.thumbnails), labels, held.digests, labels != source.test.labels


def test_flipped_labels_rank_lowest(flipped):
    features, labels, digests, wrong = flipped
    found = suspects.find_suspects(features, labels, digests, seed=0)
    assert roc_auc_score(wrong, -found.quality) >= 0.95
    listed = np.isin(np.arange(2000), found.wrong)
    assert listed[wrong].mean() >= 0.7 and wrong[listed].mean() >= 0.85
    assert found.counted > 1.4 * len(found.wrong), "what confident learning alone calls wrong"
    worst = found.wrong[:50]
    assert wrong[worst].mean() > 0.7, "one in twenty by chance"
    truth = load_sample().test.labels
    assert (
        found.predicted[found.wrong][wrong[found.wrong]] == truth[found.wrong][wrong[found.wrong]]
    ).mean() > 0.8


def test_labels_that_are_right_are_not_called_wrong(flipped):
    """The judge errs on 15 % of them, and on 20 % of a few; that alone makes no label wrong."""
    features, _, digests, _ = flipped
    truth = load_sample().test.labels.astype(np.int64)
    for count in (2000, 300):
        found = suspects.find_suspects(features[:count], truth[:count], digests[:count], seed=0)
        assert len(found.wrong) <= count // 500 and found.counted > count // 25
        assert 0.7 < (found.predicted == truth[:count]).mean() < 0.9


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2])
def test_the_rate_of_wrong_labels_is_told_from_doubts(rate):
    """Labels drawn by logits z, some of them then at random, and a judge that claims 3 z."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 3, (4000, 5))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > draw.random((4000, 1))).argmax(axis=1)
    random = draw.random(4000) < rate
    labels = np.where(random, draw.integers(0, 5, 4000), labels)
    found = noise.estimate(3 * logits, labels)
    assert found.rate == pytest.approx(rate, abs=0.025)
    assert found.temperature == pytest.approx(3, abs=0.4)
    sure = noise.surely_wrong(3 * logits, labels, seed=0)
    assert sure.sum() <= found.wrong.sum() + 1
    assert not rate or random[sure].mean() > 0.8


def test_features_are_reduced_to_where_they_vary():
    draw = np.random.default_rng(0)
    hidden = draw.normal(size=(300, 3))
    for width in (40, 900):
        features = np.zeros((300, width + 1), np.float32)
        features[:, 1:] = hidden @ draw.normal(size=(3, width)) + 0.01 * draw.normal(size=(300, width))
        axes = suspects.reduced(features)
        assert axes.shape == (300, 37)
        fit = axes[:, -3:] @ np.linalg.lstsq(axes[:, -3:], hidden - hidden.mean(axis=0), rcond=None)[0]
        assert np.abs(fit - (hidden - hidden.mean(axis=0))).max() < 0.05


def test_probabilities_are_out_of_fold(flipped):
    features, labels, digests, _ = flipped
    some = slice(0, 400)
    asked = suspects.out_of_fold(features[some, 512:], labels[some], digests[some], seed=0)
    assert asked.shape == (400, 10) and np.allclose(asked.sum(axis=1), 1)
    # Another label for one image changes what is said of others, never (by its own fold) of itself more.
    again = suspects.out_of_fold(features[some, 512:], labels[some], digests[some], seed=0)
    assert np.array_equal(asked, again)


def test_temperature_finds_how_sure_the_labels_are():
    """Labels drawn by logits z, and probabilities that claim 4 z."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (20_000, 5))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > draw.random((20_000, 1))).argmax(axis=1)
    sure = np.exp(4 * logits) / np.exp(4 * logits).sum(axis=1, keepdims=True)
    assert np.abs(suspects.calibrated(sure, labels) - true).mean() < 0.01


def test_copies_stand_on_one_side_of_every_fold(flipped, monkeypatch):
    features, labels, _, _ = flipped
    seen = []
    import sklearn.discriminant_analysis as module

    class Watching(module.LinearDiscriminantAnalysis):
        def fit(self, x, y):
            seen.append({row.tobytes() for row in x})
            return super().fit(x, y)

        def predict_proba(self, x):
            assert not seen[-1] & {row.tobytes() for row in x}
            return super().predict_proba(x)

    monkeypatch.setattr(module, "LinearDiscriminantAnalysis", Watching)
    doubled = np.repeat(features[:200, 512:], 2, axis=0)
    names = [str(n) for n in np.repeat(np.arange(200), 2)]
    suspects.out_of_fold(doubled, np.repeat(labels[:200], 2), names, seed=0)
    assert len(seen) == 5


def test_cleanlab_is_an_extra(monkeypatch):
    assert suspects.is_installed()
    monkeypatch.setattr(suspects.importlib.util, "find_spec", lambda name: None)
    assert not suspects.is_installed() and "imgrec[audit]" in suspects.NEEDS
