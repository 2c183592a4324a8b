"""Labels that are probably wrong, by confident learning on predictions that did not see the label.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", 2021 (arXiv
1911.00068), as the package `cleanlab` does it. The predictions come from linear discriminant analysis
of features, five-fold, equal bytes always in one fold, so that two copies of a wrong label cannot
vouch for each other.

Confident learning calls too many labels of a small set wrong: those on which the judge errs. Of what it
counts, those are named that judges fitted to resamples of the other images all deny, and that are wrong in
nearly all resamples of the images (see `noise.py`).
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imgrec.data.audit.findings import Finding
from imgrec.data.audit.noise import surely_wrong

_FOLDS, _ROUNDS = 5, 5
_MOST_AXES, _FEWEST_AXES, _IMAGES_AN_AXIS = 256, 16, 8
NEEDS = "needs the package cleanlab: pip install 'imgrec[audit]'"


@dataclass(frozen=True)
class Suspects:
    """What the labels of N images look like.

    quality: how much the other images speak for the label, 0…1, float64 `[N]`; the lowest first.
    wrong: positions of those that are called wrong, worst first.
    counted: how many confident learning alone would call wrong.
    predicted: int64 `[N]`, the class that the others speak for most.
    """

    quality: np.ndarray
    wrong: np.ndarray
    counted: int
    predicted: np.ndarray


def is_installed() -> bool:
    """Whether cleanlab is there."""
    return importlib.util.find_spec("cleanlab") is not None


def find_suspects(features: np.ndarray, labels: np.ndarray, digests: Sequence[str], seed: int) -> Suspects:
    """Rank labels by how little the images of other folds speak for them.

    Args:
        features: float32 `[N, D]`.
        labels: integers `[N]`, each class at least twice.
        digests: sha256 of each image, `[N]`; equal ones are never on both sides of a fold.
        seed: of the division into folds.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    axes = reduced(features)
    split = _folds(labels, digests, seed)
    draw = np.random.default_rng(seed)
    judged = [_answers(axes, labels, split, draw) for _ in range(_ROUNDS)]
    logits = np.mean([np.log(np.maximum(answers, 1e-12)) for answers in judged], axis=0)
    probabilities = calibrated(np.exp(logits), labels)
    counted = find_label_issues(
        labels,
        probabilities,
        return_indices_ranked_by="self_confidence",
        # As many as confident learning counts, those with the least confidence in their labels.
        filter_by="low_self_confidence",
        n_jobs=1,
    )
    quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    denied = np.all([answers.argmax(axis=1) != labels for answers in judged], axis=0)
    sure = denied & surely_wrong(logits, labels, seed)
    wrong = np.asarray(counted, np.int64)
    return Suspects(quality, wrong[sure[wrong]], len(wrong), probabilities.argmax(axis=1))


def reduced(features: np.ndarray) -> np.ndarray:
    """Return `[N, K]`, the axes along which features `[N, D]` vary most, one for eight images, 16 to 256."""
    spread = features.std(axis=0)
    scaled = ((features - features.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf)).astype(np.float64)
    count = min(_MOST_AXES, max(_FEWEST_AXES, len(scaled) // _IMAGES_AN_AXIS), *scaled.shape)
    if len(scaled) < scaled.shape[1]:
        energy, vectors = np.linalg.eigh(scaled @ scaled.T)
        return vectors[:, -count:] * np.sqrt(np.maximum(energy[-count:], 0))
    return scaled @ np.linalg.eigh(scaled.T @ scaled)[1][:, -count:]


def out_of_fold(features: np.ndarray, labels: np.ndarray, digests: Sequence[str], seed: int) -> np.ndarray:
    """Return class probabilities `[N, C]` for each image from a classifier that was not fitted to it."""
    return _answers(features, labels, _folds(labels, digests, seed))


_Split = list[tuple[np.ndarray, np.ndarray]]
"""Positions to fit to and to ask about, fold by fold."""


def _folds(labels: np.ndarray, digests: Sequence[str], seed: int) -> _Split:
    from sklearn.model_selection import StratifiedGroupKFold

    count = min(_FOLDS, int(np.bincount(labels).min()))
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return list(folds.split(labels, labels, list(digests)))


def _answers(
    features: np.ndarray, labels: np.ndarray, split: _Split, draw: np.random.Generator | None = None
) -> np.ndarray:
    """As `out_of_fold`; with `draw` each classifier is fitted to a resample, as many of each class."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    result = np.full((len(labels), int(labels.max()) + 1), 1e-9)
    for fitted, asked in split:
        if draw is not None:
            groups = (fitted[labels[fitted] == label] for label in np.unique(labels[fitted]))
            fitted = np.concatenate([draw.choice(group, len(group)) for group in groups])
        # Shrunk by Ledoit and Wolf's estimate: steady even when there are more features than images.
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        model.fit(features[fitted], labels[fitted])
        result[np.ix_(asked, model.classes_)] = model.predict_proba(features[asked])
    return result / result.sum(axis=1, keepdims=True)


def calibrated(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Soften `[N, C]` by the temperature under which the labels are likeliest.

    Temperature scaling, Guo et al., "On calibration of modern neural networks", 2017 (arXiv 1706.04599).
    Discriminant analysis is far too sure of itself, and confident learning counts by its sureness.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(probabilities, 1e-12))
    rows = np.arange(len(labels))

    def softened(temperature: float) -> np.ndarray:
        scaled = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
        return scaled / scaled.sum(axis=1, keepdims=True)

    def surprise(temperature: float) -> float:
        return -float(np.log(np.maximum(softened(temperature)[rows, labels], 1e-12)).mean())

    return softened(minimize_scalar(surprise, bounds=(0.1, 50.0), method="bounded").x)


def as_findings(
    suspects: Suspects, ids: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> list[Finding]:
    """One finding for every label that is called wrong, worst first."""
    return [
        Finding(
            ids[index],
            "label_suspect",
            f"labelled {labels[index]!r}, looks like {classes[suspects.predicted[index]]!r} "
            f"(label quality {suspects.quality[index]:.3f})",
        )
        for index in suspects.wrong.tolist()
    ]
