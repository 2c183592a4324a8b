"""What several models' probabilities for the same images are made into, and how far they are apart.

NumPy, and scikit-learn where it fits; `layers.fusion` computes the same inside a network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError

Floats = NDArray[np.floating]
FLOOR = 1e-7
"""As `layers.fusion.FLOOR`."""
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
"""Inverse strengths of the penalty that stacking chooses from, scikit-learn's `C`."""
FOLDS = 5


def fit_shares(probabilities: Floats, tolerance: float = 1e-10, most: int = 20_000) -> NDArray[np.float64]:
    """Return the convex weights, float64 `[G]`, that minimise the mean of `−log Σ w p`.

    Expectation-maximisation for the shares of a mixture whose parts are known: each step lowers the loss,
    which is convex, so that it ends at the one minimum (Dempster, Laird and Rubin, 1977).

    Args:
        probabilities: what each of G models gave to the truth, `[G, N]`: of its class, or of each label.
        tolerance: ends where no weight moves by more.
        most: steps at most.

    Raises:
        InputError: no images, or numbers that are no probabilities.
    """
    known = np.asarray(probabilities, np.float64)
    if known.ndim != 2 or not known.size or not ((known >= 0) & (known <= 1)).all():
        raise InputError(
            f"probabilities of shape {known.shape}: expected [models, images] between 0 and 1, one or more"
        )
    known = np.maximum(known, FLOOR)
    shares = np.full(len(known), 1 / len(known))
    for _ in range(most):
        mixed = shares[:, None] * known
        moved = (mixed / mixed.sum(axis=0)).mean(axis=1)
        done = np.abs(moved - shares).max() < tolerance
        shares = moved
        if done:
            break
    return shares / shares.sum()


def of_truth(probabilities: Floats, labels: NDArray[Any]) -> Floats:
    """Return what was given to the truth: `[…, N]` of its class, or `[…, N, C]` of each label.

    Args:
        probabilities: `[…, N, C]`.
        labels: int `[N]`, or of several labels an image 0 and 1 `[N, C]`.
    """
    if labels.ndim == 1:
        return np.asarray(probabilities[..., np.arange(len(labels)), labels])
    return np.where(labels > 0, probabilities, 1 - probabilities)


def crossed_shares(probabilities: Floats, seed: int = 0) -> Floats:
    """Return what the mixture gave to the truth where its weights were fitted to other images, `[N]`.

    Args:
        probabilities: as `fit_shares` takes them, `[G, N]`, N ≥ `FOLDS`.
        seed: of the folds.
    """
    from sklearn.model_selection import KFold

    crossed = np.empty(probabilities.shape[1])
    for fitted, held in KFold(FOLDS, shuffle=True, random_state=seed).split(crossed):
        crossed[held] = fit_shares(probabilities[:, fitted]) @ probabilities[:, held]
    return crossed


def nll(probabilities: Floats) -> float:
    """Return the mean of `−log p` of what was given to the truth, any shape."""
    return float(-np.log(np.maximum(probabilities, FLOOR)).mean())


@dataclass(frozen=True)
class Stacked:
    """A logistic regression on log-probabilities.

    kernel: float32 `[G·C, C]`; bias: float32 `[C]`.
    strength: `C` of scikit-learn that cross-validation chose.
    crossed: probabilities `[N, C]` of each image from a regression that did not see it.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    crossed: NDArray[np.float64]


def features(probabilities: Floats) -> NDArray[np.float64]:
    """Return log-probabilities side by side, float64 `[N, G·C]`, of `[G, N, C]`."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR))
    return np.concatenate(list(logs), axis=1)


def fit_stacking(probabilities: Floats, labels: NDArray[np.integer], seed: int = 0) -> Stacked:
    """Fit scikit-learn's multinomial logistic regression on the members' log-probabilities.

    The penalty is the one whose held-out cross-entropy is lowest, over stratified folds by `seed`; with it,
    the regression is fitted to all images.

    Args:
        probabilities: of models that did not learn from these images, `[G, N, C]`.
        labels: int `[N]`.
        seed: of the folds.

    Raises:
        InputError: a class has fewer images than there are folds, or none.
    """
    from sklearn.model_selection import StratifiedKFold

    classes = probabilities.shape[2]
    counts = np.bincount(labels, minlength=classes)
    if counts.min() < FOLDS:
        raise InputError(
            f"stacking: class {int(counts.argmin())} has {counts.min()} images to fit on, expected {FOLDS} "
            "or more of each; use weighted"
        )
    known = features(probabilities)
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(known, labels))
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for strength in STRENGTHS:
        crossed = np.empty((len(labels), classes))
        for fitted, held in folds:
            crossed[held] = _regression(known[fitted], labels[fitted], strength).predict_proba(known[held])
        loss = nll(crossed[np.arange(len(labels)), labels])
        if best is None or loss < best[0]:
            best = (loss, strength, crossed)
    assert best is not None
    found = _regression(known, labels, best[1])
    kernel, bias = found.coef_.T, found.intercept_
    if classes == 2:  # scikit-learn has one column then, of the second class
        kernel, bias = np.concatenate([0 * kernel, kernel], axis=1), np.concatenate([0 * bias, bias])
    return Stacked(kernel.astype(np.float32), bias.astype(np.float32), best[1], best[2])


def _regression(known: Floats, labels: NDArray[np.integer], strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # Products so small are slower on several threads, twenty times where other programs want them too.
    with threadpool_limits(1):
        return LogisticRegression(C=strength, max_iter=2000).fit(known, labels)


@dataclass(frozen=True)
class Spread:
    """How far members are apart on each image, all `[N]`, in nats.

    entropy: of the mean probabilities: all the uncertainty there is.
    mutual_information: what of it is the members' disagreement, `H[p̄] − mean H[p]`: high where an image is
        like none that they learned from (Depeweg et al., 2018, arXiv 1710.07283).
    disagreement: share of members that name another class than all of them together.
    """

    entropy: NDArray[np.float64]
    mutual_information: NDArray[np.float64]
    disagreement: NDArray[np.float64]

    def row(self, index: int) -> dict[str, float]:
        """Return those of one image, ready for JSON."""
        return {name: round(float(values[index]), 6) for name, values in vars(self).items()}


def spread(members: Floats, activation: str) -> Spread:
    """Return how far the members are apart.

    Args:
        members: each one's probabilities, `[K, N, C]`.
        activation: softmax, or sigmoid: then each label is a question of its own, their entropies add up, and
            disagreement is about the set of labels.
    """
    each = np.asarray(members, np.float64)
    mean = each.mean(axis=0)
    total = _entropy(mean, activation)
    within = np.mean([_entropy(one, activation) for one in each], axis=0)
    if activation == "softmax":
        apart = each.argmax(axis=2) != mean.argmax(axis=1)
    else:
        apart = ((each > 0.5) != (mean > 0.5)).any(axis=2)
    return Spread(total, np.maximum(total - within, 0.0), apart.mean(axis=0))


def _entropy(p: Floats, activation: str) -> NDArray[np.float64]:
    """Return the entropy in nats, `[N]`, of `[N, C]`."""
    from scipy.special import entr

    return entr(p).sum(axis=1) + (entr(1 - p).sum(axis=1) if activation == "sigmoid" else 0.0)


def mean_weights(weights: Sequence[Sequence[Floats]]) -> list[NDArray[np.float32]]:
    """Return the plain average of several models' weights, array by array, summed in float64."""
    parts = zip(*weights, strict=True)
    return [np.mean(np.stack(part), axis=0, dtype=np.float64).astype(part[0].dtype) for part in parts]
