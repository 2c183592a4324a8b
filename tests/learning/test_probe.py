"""Logistic regression on features: scikit-learn's own answer, whatever the coordinates it is found in."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from imgrec.learning import probe


def blobs(images: int, size: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features around a centre of each class, and the classes."""
    draw = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centres = draw.normal(size=(classes, size))
    return (centres[labels] + 2 * draw.normal(size=(images, size))).astype("float32"), labels.astype("int32")


@pytest.mark.parametrize(("images", "size"), [(40, 90), (90, 12)])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_answers_as_regression_on_the_features_themselves(
    images: int, size: int, classes: int
) -> None:
    """Fewer images than features are solved in the span of the images: the probabilities are the same."""
    features, labels = blobs(images, size, classes)
    scale = np.sqrt(np.mean(np.square(features, dtype="float64")))
    model = LogisticRegression(C=0.05, max_iter=2000, tol=1e-8).fit(features / scale, labels)
    head = probe.solve(features, labels, classes, 0.05)
    outputs = head.outputs(features)
    shares = np.exp(outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True))
    np.testing.assert_allclose(shares, model.predict_proba(features / scale), atol=2e-3)
    assert head.kernel.dtype == head.bias.dtype == np.float32


def test_classes_without_images_are_never_the_answer() -> None:
    features, labels = blobs(60, 8, 2)
    outputs = probe.solve(features, labels * 2 + 1, 5, 0.1).outputs(features)
    assert set(outputs.argmax(axis=1)) == {1, 3}
    one = probe.solve(features, np.full(60, 2, "int32"), 4, 0.1).outputs(features)
    assert (one.argmax(axis=1) == 2).all()


def test_each_label_of_several_is_a_regression_of_its_own() -> None:
    features, labels = blobs(80, 6, 4)
    several = np.stack([labels % 2, labels // 2, np.ones(80), np.zeros(80)], 1).astype("float32")
    outputs = probe.solve(features, several, 4, 0.3).outputs(features)
    scale = np.sqrt(np.mean(np.square(features, dtype="float64")))
    for column in (0, 1):
        own = LogisticRegression(C=0.3, max_iter=2000, tol=1e-8).fit(features / scale, several[:, column])
        np.testing.assert_allclose(outputs[:, column], own.decision_function(features / scale), atol=1e-2)
    assert (outputs[:, 2] > 0).all()
    assert (outputs[:, 3] < 0).all()


def test_the_strength_follows_the_noise() -> None:
    """Clear classes bear large weights; labels drawn by lot bear none."""
    features, labels = blobs(120, 20, 3)
    clear = probe.choose(features + 20 * np.eye(3, 20, dtype="float32")[labels], labels, 3)
    lots = probe.choose(features, np.random.default_rng(1).permutation(labels), 3)
    assert clear > 10 * lots
    assert lots <= 0.01


def test_the_strength_is_the_same_each_time_and_for_tiny_classes() -> None:
    features, labels = blobs(30, 10, 3)
    labels[:2] = 3  # two images of a class, fewer than folds
    assert probe.choose(features, labels, 4, seed=5) == probe.choose(features, labels, 4, seed=5)
