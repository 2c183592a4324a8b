"""Prediction sets: MAPIE's and crepes's, by hand, and their coverage on 20 splits of the sample."""

import numpy as np
import pytest
from crepes import ConformalClassifier
from crepes.extras import hinge
from mapie.classification import SplitConformalClassifier
from scipy.stats import binom
from scored import Given, drawn
from sklearn.linear_model import LogisticRegression

from imgrec.data.sources.sample import load_sample
from imgrec.metrics import conformal
from imgrec.metrics.answers import softmax

SPLITS = 20


def scores(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = drawn(count, heat=1.3, seed=seed)
    return softmax(logits), labels


FIT, FIT_LABELS = scores(300, 1)
NEW, NEW_LABELS = scores(500, 2)


def mapie(method: str, coverage: float, **how: object) -> tuple[np.ndarray, float]:
    """MAPIE's sets of `NEW`, and its threshold."""
    model = Given(6).fit(FIT, FIT_LABELS)
    theirs = SplitConformalClassifier(model, coverage, method, prefit=True, random_state=7)
    theirs.conformalize(FIT, FIT_LABELS)
    found = theirs.predict_set(NEW, conformity_score_params=how or None)[1][:, :, 0]
    return found, float(theirs._mapie_classifier.conformity_score_function_.quantiles_[0])


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_lac_is_mapies_and_crepess(coverage: float) -> None:
    limit = conformal.threshold(conformal.misfit(FIT, FIT_LABELS, "lac"), coverage)
    theirs, quantile = mapie("lac", coverage)
    assert limit == pytest.approx(quantile, abs=1e-9)
    bare = conformal.lac(NEW) <= limit
    assert (bare == theirs).all()
    classifier = ConformalClassifier().fit(hinge(FIT, np.arange(6), FIT_LABELS))
    found = classifier.predict_set(hinge(NEW), confidence=coverage, smoothing=False)
    assert (bare == (found > 0)).mean() > 0.9995  # p-values equal to the bound fall to either side
    ours = conformal.members(NEW, "lac", limit)
    assert (ours[bare]).all() and ours[np.arange(500), NEW.argmax(axis=1)].all()
    assert (ours.sum(axis=1) == np.maximum(bare.sum(axis=1), 1)).all()


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_aps_is_mapies(coverage: float, monkeypatch: pytest.MonkeyPatch) -> None:
    drew = np.random.RandomState(7).uniform(size=300)
    monkeypatch.setattr(conformal, "uniform", lambda _: 1 - drew)
    limit = conformal.threshold(conformal.misfit(FIT, FIT_LABELS, "aps"), coverage)
    theirs, quantile = mapie("aps", coverage, include_last_label=True)
    assert limit == pytest.approx(quantile, abs=1e-6)
    assert (conformal.members(NEW, "aps", limit) == theirs).all()


def test_scores_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    one = np.array([[0.5, 0.2, 0.3]])
    assert conformal.lac(one).tolist() == [[0.5, 0.8, 0.7]]
    assert conformal.aps(one).tolist() == [pytest.approx([0.0, 0.8, 0.5])]
    monkeypatch.setattr(conformal, "uniform", lambda _: np.array([0.5]))
    assert conformal.aps_randomised(one).tolist() == [pytest.approx([0.25, 0.9, 0.65])]
    assert conformal.members(one, "lac", 0.1).tolist() == [[True, False, False]]
    assert conformal.members(one, "lac", 0.7).tolist() == [[True, False, True]]


def test_the_draw_of_an_image_is_uniform_and_its_own() -> None:
    draws = conformal.uniform(scores(4000, 3)[0])
    assert (draws == conformal.uniform(scores(4000, 3)[0])).all()
    counts = np.histogram(draws, 10, (0, 1))[0]
    assert np.abs(counts - 400).max() < 80
    # Not of the label that fits, or of how sure it is.
    assert abs(np.corrcoef(draws, scores(4000, 3)[0].max(axis=1))[0, 1]) < 0.05


def test_fewer_images_than_a_promise_needs_are_refused() -> None:
    assert [conformal.least(share) for share in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]
    assert conformal.threshold(np.arange(9) / 10, 0.9) == 0.8
    with pytest.raises(ValueError, match=r"8 images cannot promise 0\.9: expected 9"):
        conformal.threshold(np.arange(8) / 10, 0.9)


def test_the_band_is_that_of_repeated_draws() -> None:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(4000):
        limit = conformal.threshold(draw.random(200), 0.9)
        found.append((draw.random(300) <= limit).mean())
    low, high = conformal.band(300, 200, 0.9)
    assert np.quantile(found, [0.025, 0.975]) == pytest.approx([low, high], abs=0.006)
    assert np.mean(found) == pytest.approx(0.9, abs=0.003)


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a regression on pixels for validation and test images, and their labels."""
    source = load_sample()
    pixels = {name: split.images.reshape(len(split), -1) / 255 for name, split in source.splits.items()}
    model = LogisticRegression(max_iter=60, C=0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # sixty steps are enough for the test's purpose
        model.fit(pixels["train"][:3000, ::2], source.train.labels[:3000])
    rest = np.concatenate([pixels["val"], pixels["test"]])[:, ::2]
    return model.predict_proba(rest), np.concatenate([source.val.labels, source.test.labels])


@pytest.mark.parametrize("method", ["lac", "aps_randomised", "aps"])
@pytest.mark.parametrize("coverage", [0.9, 0.95])
def test_coverage_lies_in_its_band_on_20_splits_of_the_sample(
    method: str, coverage: float, sample: tuple[np.ndarray, np.ndarray]
) -> None:
    found, labels = sample
    assert 0.75 < (found.argmax(axis=1) == labels).mean() < 0.9
    low, high = conformal.band(2000, 2000, coverage)
    inside, means, sizes = 0, [], []
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(labels))
        fit, new = order[:2000], order[2000:]
        limit = conformal.threshold(conformal.misfit(found[fit], labels[fit], method), coverage)
        bare = conformal.SCORES[method](found[new])[np.arange(2000), labels[new]] <= limit
        sets = conformal.members(found[new], method, limit)
        held = sets[np.arange(2000), labels[new]]
        assert held.mean() >= bare.mean()  # the answer itself can only add
        means.append(bare.mean())
        sizes.append(sets.sum(axis=1).mean())
        inside += low <= bare.mean() <= high if method != "aps" else low <= bare.mean()
    # Of 20 splits fewer than 16 lie within 95 % bands once in 400 times.
    assert binom.cdf(15, SPLITS, 0.95) < 0.003 and inside >= 16
    if method != "aps":
        assert np.mean(means) == pytest.approx(coverage, abs=0.006)
    assert 1 <= np.mean(sizes) < 4
