"""Means that may be looked at after every observation: against a plain product, and how often they err."""

import numpy as np
import pytest

from imgrec.metrics.sequential import BOLDEST, EFFECTS, LEAST_VARIANCE, BettingMean, SplitDifference


def plain(observations: np.ndarray, value: float, reach: float, width: float) -> tuple[float, float]:
    """The wealth bet on a mean above a value, and below it, by products over all that came."""
    above, below = [], []
    for effect in EFFECTS:
        up = down = 1.0
        for k, x in enumerate(observations):
            seen = observations[:k]
            squares = ((seen - seen.mean()) ** 2).sum() if k else 0.0
            # Welford's sum begins around the middle of the range.
            first = (seen[0] - 0.5) * 0.0 if k else 0.0
            variance = max((squares + first + reach**2 / 4) / (k + 1), LEAST_VARIANCE * reach**2)
            bet = min(effect * width / 2 / variance, BOLDEST / reach)
            up *= 1 + bet * (x - value)
            down *= 1 - bet * (x - value)
        above.append(up)
        below.append(down)
    return float(np.mean(above)), float(np.mean(below))


def test_wealth_is_the_product_of_its_bets() -> None:
    observations = np.random.default_rng(0).random(60) ** 2
    mean = BettingMean(0, 1, points=101)
    for x in observations:
        mean.update(x)
    assert mean.mean == pytest.approx(observations.mean())
    for value in (0.1, 0.33, 0.6):
        assert mean.evidence(value) == pytest.approx(plain(observations, value, 1, 1), rel=1e-9)
    low, high = mean.interval()
    enough = 2 / mean.alpha
    for value in np.linspace(0, 1, 101):
        above, below = plain(observations, value, 1, 1)
        assert (value <= low) == (above >= enough and value <= low)
        if low < value < high:
            assert above < enough and below < enough


@pytest.mark.parametrize("rate", [0.02, 0.5, 0.97])
def test_the_interval_holds_the_mean_at_every_moment(rate: float) -> None:
    draw, missed = np.random.default_rng(1), 0
    for _ in range(60):
        mean, out = BettingMean(0, 1, points=201), False
        for x in draw.random(250) < rate:
            mean.update(float(x))
            low, high = mean.interval()
            out = out or not low <= rate <= high
        missed += out
    assert missed <= 6  # 5 % are promised: 7 of 60 or more by chance once in 30 times


def test_numbers_that_depend_on_those_before_do_no_harm() -> None:
    """A fair game whose stakes follow what came: the mean is 0 at every step."""
    draw, called = np.random.default_rng(2), 0
    for _ in range(60):
        mean, last = BettingMean(-1, 1, points=3), 1.0
        for _ in range(400):
            last = draw.choice((-1.0, 1.0)) * (1.0 if last > 0 else 0.1)
            mean.update(last)
            if max(mean.evidence(0.0)) >= 2 / mean.alpha:
                called += 1
                break
    assert called <= 6


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_split_finds_the_difference_though_rates_drift(share: float) -> None:
    draw = np.random.default_rng(3)
    apart, alike = SplitDifference(share), SplitDifference(share)
    for k in range(3000):
        rate = 0.5 + 0.3 * np.sin(k / 200)
        second = draw.random() < share
        apart.update(second, float(draw.random() < rate + 0.15 * second))
        alike.update(second, float(draw.random() < rate))
    low, high = apart.difference.interval()
    assert 0 < low < 0.15 < high < 0.3
    low, high = alike.difference.interval()
    assert low < 0 < high and high - low < 0.25


def test_a_mean_of_nothing_is_unknown() -> None:
    mean = BettingMean(-1, 1)
    assert np.isnan(mean.mean) and mean.interval() == (-1, 1) and mean.evidence(0.0) == (1, 1)


def test_evidence_stays_finite_however_clear_it_is() -> None:
    mean = BettingMean(0, 1, points=3)
    for _ in range(3000):
        mean.update(1.0)
    above, below = mean.evidence(0.5)
    assert np.isfinite(above) and above > 1e50 and below >= 0
