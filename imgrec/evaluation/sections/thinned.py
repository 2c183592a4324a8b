"""How sure the model is by its dropout: a section that is asked for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.seeing import some
from imgrec.evaluation.subject import Subject
from imgrec.evaluation.unknown_figures import lines
from imgrec.metrics import selective
from imgrec.metrics.paired import from_answers
from imgrec.metrics.single_label import calibration_error
from imgrec.phrases import Phrase
from imgrec.spec import whole_option

_POINTS = 200


@dataclass(frozen=True)
class Doubt:
    """What S passes of thinned networks say of N images.

    mean: of their probabilities, `[N, C]`.
    entropy: of that mean, `[N]`: all doubt, in nats.
    information: mutual information of answer and network, `[N]`: what of it is disagreement, which more
        training images would settle (Houlsby et al., 2011, arXiv 1112.5745; Smith and Gal, 2018, arXiv
        1803.08533).
    """

    mean: NDArray[np.float64]
    entropy: NDArray[np.float64]
    information: NDArray[np.float64]

    @classmethod
    def of(cls, passes: NDArray[np.floating]) -> "Doubt":
        """Return the doubt in probabilities `[S, N, C]`."""
        exact = passes.astype(np.float64)
        mean = exact.mean(axis=0)
        whole = entr(mean).sum(axis=1)
        return cls(mean, whole, np.maximum(whole - entr(exact).sum(axis=2).mean(axis=0), 0))


def dropout(given: Evaluated, samples: int = 20, images: int = 2000) -> Section:
    """Monte Carlo dropout on at most `images` test images: `samples` passes, dropout at work in each.

    Raises:
        InputError: a network without dropout, a task without one class an image, or numbers out of bounds.
    """
    count = whole_option("--also dropout: samples", samples, 2, 1000)
    most = whole_option("--also dropout: images", images, 1)
    subject = given.subject
    if subject is None or given.split is None:
        raise InputError("--also dropout: the images are not at hand")
    if subject.task.labels != "class":
        raise InputError(f"--also dropout: for one class an image, and this is {subject.task.name}")
    split = some(given.split, most)
    once, passes = _passes(subject, split, count)
    doubt = Doubt.of(passes)
    labels = split.labels
    right = {"mean": doubt.mean.argmax(axis=1) == labels, "single": once.argmax(axis=1) == labels}
    paired = from_answers(right["mean"], right["single"])
    sure = {
        "entropy": -doubt.entropy,
        "mutual_information": -doubt.information,
        "single_probability": once.max(axis=1),
    }
    told: dict[str, Any] = {
        "samples": count,
        "images": len(split),
        "accuracy": {name: float(hits.mean()) for name, hits in right.items()},
        "paired": paired.record(),
        "calibration_error": {
            "mean": calibration_error(doubt.mean, labels),
            "single": calibration_error(once, labels),
        },
        "entropy": _parted(doubt.entropy, right["mean"]),
        "mutual_information": _parted(doubt.information, right["mean"]),
        "risk_area": {
            name: selective.area(each, right["single" if name.startswith("single") else "mean"])
            for name, each in sure.items()
        },
    }
    curves = {
        Phrase("by entropy of the mean"): _kept(sure["entropy"], right["mean"]),
        Phrase("by disagreement"): _kept(sure["mutual_information"], right["mean"]),
    }
    figure = lines((Phrase("share of images kept"), Phrase("accuracy of these")), curves, given.language)
    data = {**told, "figure": figure, "differs": paired.differs}
    title = Phrase("Doubt by dropout")
    return Section(title, "thinned.html.j2", data, {"dropout": told}, Phrase("Dropout"))


def _passes(subject: Subject, split: Any, count: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the model's own probabilities `[N, C]`, and those of `count` thinned networks `[S, N, C]`."""
    from imgrec.data.pipeline import evaluation_dataset
    from imgrec.models.inside import look_inside
    from imgrec.models.monte_carlo import dropout_at_work

    look, scores = look_inside(subject.model), subject.task.scores
    own, thinned = [], []
    for pixels, _ in evaluation_dataset(split, subject.preprocess, subject.task.targets, subject.batch_size):
        images = np.asarray(pixels)
        own.append(scores(look(images)[0]))
        with dropout_at_work(subject.model, seed=len(own)):
            thinned.append(np.stack([scores(look(images)[0]) for _ in range(count)]))
    return np.concatenate(own), np.concatenate(thinned, axis=1)


def _parted(doubt: NDArray[np.floating], right: NDArray[np.bool_]) -> dict[str, float | None]:
    """Return the mean doubt of all images, of those answered right, of those wrong; None where none are."""
    parts = {"all": doubt, "right": doubt[right], "wrong": doubt[~right]}
    return {name: float(part.mean()) if len(part) else None for name, part in parts.items()}


def _kept(
    sure: NDArray[np.floating], right: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return shares of images kept, the surest, and the accuracy on these, at up to 200 places."""
    coverage, risk = selective.curve(sure, right)
    places = np.unique(np.linspace(0, len(coverage) - 1, _POINTS).astype(int))
    return coverage[places], 1 - risk[places]
