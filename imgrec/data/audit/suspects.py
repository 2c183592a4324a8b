"""Labels that are probably wrong, by confident learning on predictions that did not see the label.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", 2021 (arXiv
1911.00068), as the package `cleanlab` does it. The predictions come from linear discriminant analysis
of features, five-fold, equal bytes always in one fold, so that two copies of a wrong label cannot
vouch for each other.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imgrec.data.audit.findings import Finding

_FOLDS = 5
NEEDS = "needs the package cleanlab: pip install 'imgrec[audit]'"


@dataclass(frozen=True)
class Suspects:
    """What the labels of N images look like.

    quality: how much the other images speak for the label, 0…1, float64 `[N]`; the lowest first.
    wrong: positions of those that are called wrong, worst first.
    predicted: int64 `[N]`, the class that the others speak for most.
    """

    quality: np.ndarray
    wrong: np.ndarray
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

    probabilities = calibrated(out_of_fold(features, labels, digests, seed), labels)
    wrong = find_label_issues(
        labels,
        probabilities,
        return_indices_ranked_by="self_confidence",
        # As many as confident learning counts, those with the least confidence in their labels.
        filter_by="low_self_confidence",
        n_jobs=1,
    )
    quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    return Suspects(quality, np.asarray(wrong), probabilities.argmax(axis=1))


def out_of_fold(features: np.ndarray, labels: np.ndarray, digests: Sequence[str], seed: int) -> np.ndarray:
    """Return class probabilities `[N, C]` for each image from a classifier that was not fitted to it."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(_FOLDS, int(np.bincount(labels).min()))
    result = np.full((len(labels), int(labels.max()) + 1), 1e-9)
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(
        features, labels, list(digests)
    )
    for fitted, asked in split:
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
