"""Made-up probabilities whose truth is known, and a classifier that gives them back to other libraries."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from imgrec.metrics.answers import softmax


def drawn(count: int, classes: int = 6, heat: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[N, C]` and labels drawn by their softmax; the logits are then `heat` times as large."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2.0, (count, classes))
    labels = (softmax(logits).cumsum(axis=1) > draw.random((count, 1))).argmax(axis=1)
    return (heat * logits).astype(np.float32), labels


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose "images" are its own answers: probabilities, or logits where so named."""

    def __init__(self, classes: int = 6, logits: bool = False) -> None:
        self.classes, self.logits = classes, logits

    def fit(self, x, y):
        self.classes_ = np.arange(self.classes)
        self.is_fitted_ = True
        return self

    def predict_proba(self, x):
        return softmax(x) if self.logits else x

    def predict(self, x):
        return np.asarray(x).argmax(axis=1)


class GivenLogits(Given):
    """The same with the function that scikit-learn asks for logits."""

    def decision_function(self, x):
        return x
