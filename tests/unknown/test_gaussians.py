"""Gaussians of features against scikit-learn's, and what they keep where features are many or idle."""

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from imgrec.unknown.gaussians import AXES, Gaussian, Known


def classes(count: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of correlated features."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    mixing = draw.normal(size=(width, width)) / np.sqrt(width)
    features = draw.normal(size=(count, width)) @ mixing + draw.normal(size=(3, width))[labels]
    return features.astype(np.float32), labels


def test_distances_are_those_of_scikit_learns_ledoit_wolf() -> None:
    features, labels = classes(400, 24)
    others = classes(50, 24, seed=1)[0] * 3
    known = Known.fit(features, labels)
    means = np.stack([features[labels == k].mean(axis=0) for k in range(3)])
    tied = LedoitWolf(assume_centered=True).fit(features - means[labels])
    expected = np.min([tied.mahalanobis(others - mean) for mean in means], axis=0)
    np.testing.assert_allclose(known.mahalanobis(others), expected, rtol=2e-4)
    overall = LedoitWolf().fit(features).mahalanobis(others)
    relative = expected - overall
    np.testing.assert_allclose(known.relative(others), relative, rtol=2e-3, atol=2e-3 * overall.max())
    scaled = []
    for inside, outside in zip(known.both(features), (expected, relative), strict=True):
        middle, high = np.quantile(inside, (0.5, 0.95))
        scaled.append((outside - middle) / (high - middle))
    np.testing.assert_allclose(known.either(others), np.max(scaled, axis=0), rtol=2e-3, atol=0.05)


def test_of_many_images_shrinkage_is_nothing_and_distances_are_the_plain_ones() -> None:
    features, _ = classes(60_000, 6)
    found = Gaussian.fit(features, np.zeros(len(features), int)).distances(features[:100])[:, 0]
    plain = EmpiricalCovariance().fit(features).mahalanobis(features[:100])
    np.testing.assert_allclose(found, plain, rtol=1e-2)


def test_more_features_than_axes_keep_their_total_variance() -> None:
    features, _ = classes(900, AXES + 40)
    fitted = Gaussian.fit(features, np.zeros(len(features), int))
    assert fitted.axes.shape == (AXES + 40, AXES)
    shrunk = LedoitWolf().fit(features).covariance_
    total = fitted.variances.sum() + 40 * fitted.rest
    assert total == pytest.approx(np.trace(shrunk), rel=1e-4)
    # The distance is that of the covariance which these parts make.
    axes = fitted.axes.astype(np.float64)
    made = (axes * fitted.variances) @ axes.T + fitted.rest * (np.eye(AXES + 40) - axes @ axes.T)
    away = features[:20].astype(np.float64) - fitted.means[0]
    expected = np.einsum("nd,de,ne->n", away, np.linalg.inv(made), away)
    np.testing.assert_allclose(fitted.distances(features[:20])[:, 0], expected, rtol=1e-3)


def test_features_that_never_move_are_seen_where_they_do() -> None:
    features, labels = classes(300, 10)
    features[:, 4] = 0.5
    known = Known.fit(features, labels)
    moved = features[:5].copy()
    moved[:, 4] += 1.0
    assert np.isfinite(known.mahalanobis(features)).all()
    assert (known.mahalanobis(moved) > 3 * known.mahalanobis(features[:5])).all()


def test_few_images_and_absent_classes() -> None:
    features, _ = classes(7, 64)
    known = Known.fit(features, np.array([0, 0, 2, 2, 2, 5, 5]))
    assert known.within.means.shape == (3, 64)
    assert np.isfinite(known.relative(features)).all()
    alike = Known.fit(np.ones((4, 8), np.float32), np.zeros(4, int))
    assert np.isfinite(alike.mahalanobis(np.zeros((2, 8), np.float32))).all()
