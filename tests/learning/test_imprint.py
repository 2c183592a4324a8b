"""Rows of a head for classes of a few pictures: their directions, scales and offsets, and what is said."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from imgrec.learning import imprint as made
from imgrec.learning.imprint import Known, imprint
from imgrec.learning.probe import Head
from imgrec.unknown.gaussians import Gaussian

WIDTH, CLASSES = 6, 4


def drawn(classes: list[int], each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features around the corners of a simplex, wide along one direction that tells nothing."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(classes, each)
    spread = np.array([0.3] * (WIDTH - 1) + [3.0])
    return 3 * np.eye(WIDTH)[labels] + 1 + rng.normal(size=(len(labels), WIDTH)) * spread, labels


@pytest.fixture(scope="module")
def known() -> Known:
    features, labels = drawn(list(range(CLASSES)), 100, 0)
    head = Head(np.eye(WIDTH, CLASSES, dtype=np.float32) * 2, np.zeros(CLASSES, np.float32))
    return Known(head, Gaussian.fit(features, labels), features, labels)


def test_one_picture_is_imprinted_and_two_give_a_discriminant(known: Known) -> None:
    pictures, _ = drawn([4], 2, 1)
    row = made._rows(known)
    direction, offset = row(pictures[:1])
    np.testing.assert_allclose(direction, pictures[0] / np.linalg.norm(pictures[0]))
    assert offset == 0

    within = known.within
    covariance = within.axes @ np.diag(within.variances) @ within.axes.T
    mean, middle = pictures.mean(0), within.means.mean(0)
    direction, offset = row(pictures)
    np.testing.assert_allclose(direction, np.linalg.inv(covariance) @ (mean - middle), rtol=1e-3)
    assert offset == pytest.approx(-direction @ (mean + middle) / 2)


def test_a_covariance_of_fewer_axes_is_inverted_whole(known: Known) -> None:
    axes = known.within.axes[:, 3:]
    few = Gaussian(known.within.means, axes, known.within.variances[3:], 0.25)
    covariance = axes @ np.diag(few.variances) @ axes.T + 0.25 * (np.eye(WIDTH) - axes @ axes.T)
    pictures, _ = drawn([4], 3, 1)
    direction, _ = made._rows(Known(known.head, few, known.features, known.labels))(pictures)
    expected = np.linalg.solve(covariance.astype(float), pictures.mean(0) - few.means.mean(0))
    np.testing.assert_allclose(direction, expected, rtol=1e-3)


def test_the_cost_is_balanced_cross_entropy_and_its_gradient_is_right() -> None:
    rng = np.random.default_rng(3)
    logits, scores = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    truth = np.array([0, 0, 0, 1, 2, 3, 3, 4, 4])
    fair = made._Fair(logits, scores, truth)
    values = rng.normal(size=4)
    both = np.concatenate([logits, scores * np.exp(values[:2]) / scores.std(0) + values[2:]], axis=1)
    own = np.exp(both)[np.arange(9), truth] / np.exp(both).sum(1)
    by_class = sum(-np.log(own[truth == label]).mean() for label in range(5))
    cost, _ = fair._cost(values)
    assert cost == pytest.approx(by_class + made.PULL * (values[:2] ** 2).sum())
    assert check_grad(lambda v: fair._cost(v)[0], lambda v: fair._cost(v)[1], values) < 1e-5


@pytest.mark.parametrize("each", [1, 2, 10])
@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_old_and_new_classes_are_told_apart(known: Known, each: int, factor: float) -> None:
    pictures, labels = drawn([4, 5], each, 5)
    sure = Head(known.head.kernel / np.float32(factor), known.head.bias)
    found = imprint(Known(sure, known.within, known.features, known.labels, factor), pictures, labels - 4)
    np.testing.assert_array_equal(found.head.kernel[:, :CLASSES], sure.kernel)
    assert found.right == ((None, None) if each == 1 else found.right)
    assert all(right is None or each - 1 <= right <= each for right in found.right)
    features, truth = drawn(list(range(6)), 200, 6)
    answers = found.head.outputs(features).argmax(1)
    old = (answers == truth)[truth < CLASSES].mean()
    # Along the wide direction of class 5 nothing is known, so that it is class 4 which is recognised.
    new = (answers == truth)[truth == CLASSES].mean()
    assert old > 0.75 and new > (0.5 if each == 1 else 0.8)


def test_the_factor_is_that_of_the_temperature(known: Known) -> None:
    labels = np.where(np.arange(len(known.labels)) % 5, known.labels, 0)  # one in five is another's
    heads = (known.head, Head(known.head.kernel * 8, known.head.bias))
    plain, sure = (Known(head, known.within, known.features, labels).by_temperature() for head in heads)
    assert sure == pytest.approx(plain / 8, rel=1e-3)
