"""Weights, stacking, soups and members' disagreement, against SciPy, scikit-learn and the formulas."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from imgrec.errors import InputError
from imgrec.metrics import fusing


def members(count: int, images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities `[count, images, classes]` of members of unequal skill, and the labels."""
    draw = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), draw.integers(0, classes, images - classes)])
    skill = np.linspace(1, 2, count)[:, None, None]
    logits = skill * np.eye(classes)[labels] + draw.normal(size=(count, images, classes))
    return softmax(logits, axis=2), labels


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_the_minimum_that_scipy_finds(seed: int) -> None:
    probabilities, labels = members(4, 300, 5, seed)
    truths = fusing.of_truth(probabilities, labels)
    found = fusing.fit_shares(truths)
    start = np.full(4, 0.25)
    other = minimize(
        lambda w: -np.log(w @ truths).mean(),
        start,
        jac=lambda w: -(truths / (w @ truths)).mean(axis=1),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    np.testing.assert_allclose(found, other.x, atol=2e-3)
    assert fusing.nll(found @ truths) <= other.fun + 1e-7
    assert fusing.nll(found @ truths) <= min(fusing.nll(row) for row in (*truths, truths.mean(axis=0))) + 1e-8


def test_a_member_that_is_always_surer_of_the_truth_gets_all() -> None:
    np.testing.assert_allclose(fusing.fit_shares(np.array([[0.9, 0.8], [0.4, 0.7]])), [1, 0], atol=1e-6)


def test_the_truth_of_several_labels_is_each_label() -> None:
    probabilities = np.array([[[0.9, 0.2], [0.3, 0.6]]])
    labels = np.array([[1, 0], [0, 1]], np.float32)
    np.testing.assert_allclose(fusing.of_truth(probabilities, labels), [[[0.9, 0.8], [0.7, 0.6]]])


@pytest.mark.parametrize("classes", [2, 4])
@threadpool_limits.wrap(limits=1)
def test_stacking_is_scikit_learns_regression(classes: int) -> None:
    probabilities, labels = members(3, 120, classes)
    found = fusing.fit_stacking(probabilities, labels, seed=3)
    known = np.concatenate([np.log(part) for part in probabilities], axis=1)
    direct = LogisticRegression(C=found.strength, max_iter=2000).fit(known, labels)
    logits = known @ found.kernel + found.bias
    np.testing.assert_allclose(softmax(logits, axis=1), direct.predict_proba(known), atol=1e-5)
    folds = StratifiedKFold(fusing.FOLDS, shuffle=True, random_state=3)
    losses = {}
    for strength in fusing.STRENGTHS:
        crossed = cross_val_predict(
            LogisticRegression(C=strength, max_iter=2000), known, labels, cv=folds, method="predict_proba"
        )
        losses[strength] = fusing.nll(fusing.of_truth(crossed, labels))
        if strength == found.strength:
            np.testing.assert_allclose(crossed, found.crossed, atol=1e-6)
    assert min(losses, key=losses.__getitem__) == found.strength


def test_members_that_agree_leave_no_mutual_information() -> None:
    probabilities, _ = members(3, 30, 4)
    same = fusing.spread(np.stack([probabilities[0]] * 3), "softmax")
    np.testing.assert_allclose(same.mutual_information, 0, atol=1e-12)
    assert not same.disagreement.any()
    found = fusing.spread(probabilities, "softmax")
    mean = probabilities.mean(axis=0)
    np.testing.assert_allclose(found.entropy, entropy(mean, axis=1))
    # The mean divergence of the members from what they say together is the same number.
    divergence = np.mean([entropy(one, mean, axis=1) for one in probabilities], axis=0)
    np.testing.assert_allclose(found.mutual_information, divergence, atol=1e-12)
    apart = [(one.argmax(axis=1) != mean.argmax(axis=1)) for one in probabilities]
    np.testing.assert_allclose(found.disagreement, np.mean(apart, axis=0))
    assert found.row(0).keys() == {"entropy", "mutual_information", "disagreement"}


def test_members_that_are_sure_of_opposite_labels_tell_one_bit_each() -> None:
    found = fusing.spread(np.array([[[1.0, 0.0]], [[0.0, 0.0]]]), "sigmoid")
    np.testing.assert_allclose(found.mutual_information, np.log(2))
    np.testing.assert_allclose(found.disagreement, 0.5)


def test_weights_are_averaged_as_they_are() -> None:
    draw = np.random.default_rng(0)
    shapes = ((3, 2), (2,))
    each = [[draw.normal(size=shape).astype("float32") for shape in shapes] for _ in "abc"]
    found = fusing.mean_weights(each)
    np.testing.assert_allclose(found[0], (each[0][0] + each[1][0] + each[2][0]) / 3, rtol=1e-6)
    assert found[1].dtype == np.float32 and found[1].shape == (2,)


@pytest.mark.parametrize("bad", [np.empty((2, 0)), np.array([[1.5]]), np.array([[np.nan]]), np.array([0.5])])
def test_shares_of_no_probabilities_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        fusing.fit_shares(bad)


def test_stacking_wants_images_of_every_class() -> None:
    probabilities, labels = members(2, 40, 3)
    with pytest.raises(InputError, match="class 2 has 0 images to fit on"):
        fusing.fit_stacking(probabilities, np.where(labels == 2, 0, labels))
