"""How many labels are wrong, and which surely: what a calibrated judge cannot explain by its own doubts.

A judge that errs often is unsure often: softened by the right temperature, its doubts account for the labels
that it would not have given. Wrong labels are those that it denies although it is sure. So labels are taken
as drawn from the softened answers, or, at a rate, at random; temperature and rate are the likeliest ones
together (temperature scaling: Guo et al., "On calibration of modern neural networks", 2017, arXiv
1706.04599; uniform noise beside it as in Angluin and Laird, "Learning from noisy examples", 1988).
"""

from dataclasses import dataclass

import numpy as np

RESAMPLES, SHARE, PROBABLY = 40, 0.95, 0.5
"""A label is surely wrong where `PROBABLY` is reached in this share of this many resamples of the images."""
_STEPS = 12
_COLDEST, _HOTTEST = 0.2, 50.0


@dataclass(frozen=True)
class Noise:
    """Of N labels: by what they are explained.

    temperature: what softens the judge's answers.
    rate: share of labels given at random, 0…1.
    wrong: how likely each label is wrong, float64 `[N]`, 0…1.
    """

    temperature: float
    rate: float
    wrong: np.ndarray


def estimate(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Noise:
    """Return the likeliest temperature and rate.

    Args:
        logits: logarithms of the judge's probabilities, `[N, C]`.
        labels: integers `[N]`.
        weights: how often each image counts, `[N]`; once by default.
    """
    from scipy.optimize import minimize_scalar

    counted = np.ones(len(labels)) if weights is None else weights
    centred, rows = logits - logits.max(axis=1, keepdims=True), np.arange(len(labels))
    chance = 1 / logits.shape[1]

    def explained(temperature: float) -> tuple[float, float, np.ndarray]:
        """Surprise, rate and how likely each label is wrong, by expectation and maximisation."""
        scaled = np.exp(centred / temperature)
        given = np.maximum(scaled[rows, labels] / scaled.sum(axis=1), 1e-12)
        rate = 0.02
        for _ in range(_STEPS):
            random = rate * chance / (rate * chance + (1 - rate) * given)
            # As if there were two labels more, hardly any of them wrong: a rate of 0 would stay 0.
            rate = (counted @ random + 0.1) / (counted.sum() + 2)
        surprise = -float(counted @ np.log(rate * chance + (1 - rate) * given))
        return surprise, rate, random * (1 - given)

    bounds = (float(np.log(_COLDEST)), float(np.log(_HOTTEST)))
    best = minimize_scalar(lambda log: explained(float(np.exp(log)))[0], bounds=bounds, method="bounded").x
    _, rate, wrong = explained(float(np.exp(best)))
    return Noise(float(np.exp(best)), float(rate), wrong)


def surely_wrong(logits: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return bool `[N]`: which labels are probably wrong in nearly all resamples of the images.

    Few images show no rate of wrong labels for sure, and then none is named.
    """
    draw, count = np.random.default_rng(seed), len(labels)
    votes = np.zeros(count)
    for _ in range(RESAMPLES):
        weights = np.bincount(draw.integers(0, count, count), minlength=count).astype(float)
        votes += estimate(logits, labels, weights).wrong >= PROBABLY
    return votes >= SHARE * RESAMPLES
