"""Several pictures of one object: both means, by hand."""

import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from imgrec.errors import InputError
from imgrec.metrics.views import fuse, labels_of

P = softmax(np.random.default_rng(0).normal(size=(5, 3)), axis=1)
OBJECTS = np.array([0, 1, 0, 1, 1])


def test_mean_probability() -> None:
    found = fuse(P, OBJECTS, "probability", "softmax")
    np.testing.assert_allclose(found, [P[[0, 2]].mean(axis=0), P[[1, 3, 4]].mean(axis=0)])


def test_mean_logit_is_the_geometric_mean() -> None:
    found = fuse(P, OBJECTS, "logit", "softmax")
    product = np.stack([np.prod(P[[0, 2]], axis=0) ** (1 / 2), np.prod(P[[1, 3, 4]], axis=0) ** (1 / 3)])
    np.testing.assert_allclose(found, product / product.sum(axis=1, keepdims=True))
    labels = fuse(P, OBJECTS, "logit", "sigmoid")
    np.testing.assert_allclose(labels[0], expit(logit(P[[0, 2]]).mean(axis=0)))


def test_one_picture_is_its_own_object() -> None:
    for fusion in ("probability", "logit"):
        np.testing.assert_allclose(fuse(P, np.arange(5), fusion, "softmax"), P, atol=1e-9)


def test_a_picture_that_is_wrongly_sure_rules_nothing_out() -> None:
    sure = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 0.9]])
    found = fuse(sure, np.zeros(3, int), "logit", "softmax")
    assert np.isfinite(found).all() and found[0, 1] > 0.5


def test_labels_of_objects() -> None:
    assert labels_of(np.array([2, 0, 2, 0, 0]), OBJECTS).tolist() == [2, 0]
    several = np.array([[1, 0], [0, 0], [0, 1], [0, 1], [0, 0]], np.float32)
    assert labels_of(several, OBJECTS).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("fusion", "objects"), [("median", OBJECTS), ("logit", OBJECTS[:2]), ("logit", OBJECTS[:0])]
)
def test_wrong_input_is_refused(fusion: str, objects: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected probability or logit"):
        fuse(P if len(objects) else P[:0], objects, fusion, "softmax")
