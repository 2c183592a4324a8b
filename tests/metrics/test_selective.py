"""Answers withheld: the curve by brute force, and promises that hold as often as they say."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from imgrec.metrics import selective
from imgrec.runs.calibrating import grid


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sureness, and hits that come as often as it says."""
    draw = np.random.default_rng(seed)
    sure = 0.5 + 0.5 * draw.beta(4, 1, count)
    return sure, draw.random(count) < sure


def test_the_curve_is_the_one_of_brute_force() -> None:
    sure, hit = drawn(200, 0)
    coverage, risk = selective.curve(sure, hit)
    ranked = sorted(range(200), key=lambda k: -sure[k])
    for count in (1, 7, 100, 200):
        chosen = ranked[:count]
        assert coverage[count - 1] == count / 200
        assert risk[count - 1] == pytest.approx(np.mean([not hit[k] for k in chosen]))
    wanted = np.mean([np.mean([not hit[k] for k in ranked[:count]]) for count in range(1, 201)])
    assert selective.area(sure, hit) == pytest.approx(wanted)


def test_equally_sure_images_have_no_order() -> None:
    sure, hit = np.array([0.9, 0.9, 0.9, 0.4]), np.array([True, False, True, False])
    assert selective.curve(sure, hit)[1] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.5])
    assert selective.area(sure[[1, 0, 2, 3]], hit[[1, 0, 2, 3]]) == pytest.approx(selective.area(sure, hit))


def test_the_bound_is_clopper_and_pearsons() -> None:
    for wrong, given in ((0, 59), (3, 100), (50, 51)):
        theirs = binomtest(wrong, given, alternative="less").proportion_ci(0.95, method="exact").high
        assert selective.highest_risk(wrong, given) == pytest.approx(theirs, abs=1e-9)
    assert selective.highest_risk(5, 5) == 1.0
    assert selective.least(0.05) == 59 and selective.highest_risk(0, 59) <= 0.05 < selective.highest_risk(
        0, 58
    )


@pytest.mark.parametrize("risk", [0.05, 0.1])
def test_a_risk_is_exceeded_no_more_often_than_promised(risk: float) -> None:
    fresh, hits = drawn(200_000, 99)
    broken, found = 0, 0
    for seed in range(300):
        limit = selective.for_risk(*drawn(500, seed), grid(10), risk)
        if limit is not None:
            found += 1
            broken += (~hits[fresh >= limit]).mean() > risk
    assert found > 100
    assert broken <= binom.ppf(0.999, 300, 0.05)


def test_no_threshold_where_none_is_shown_to_hold() -> None:
    sure = drawn(500, 1)[0]
    assert selective.for_risk(sure, np.zeros(500, bool), grid(10), 0.05) is None
    assert selective.for_risk(sure[:40], np.ones(40, bool), grid(10), 0.05) is None
    everything = selective.for_risk(sure, np.ones(500, bool), grid(10), 0.05)
    assert everything == pytest.approx(0.1, abs=1e-9)


def test_a_coverage_is_reached_as_often_as_promised() -> None:
    fresh = drawn(200_000, 99)[0]
    missed = 0
    for seed in range(400):
        limit = selective.for_coverage(drawn(300, seed)[0], 0.8)
        assert limit is not None
        missed += (fresh >= limit).mean() < 0.8
    assert 3 <= missed <= binom.ppf(0.999, 400, 0.05)
    assert selective.for_coverage(drawn(10, 0)[0], 0.8) is None
