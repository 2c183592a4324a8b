"""Two answerers on the same images: the test and the interval, against published figures and other ways."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom

from imgrec.errors import InputError
from imgrec.metrics import paired
from imgrec.metrics.intervals import difference_interval, exact_interval


def test_mcnemar_is_the_binomials() -> None:
    assert paired.mcnemar(0, 0) == 1.0
    assert paired.mcnemar(5, 0) == pytest.approx(0.0625)
    assert paired.mcnemar(9, 1) == pytest.approx(0.021484375)
    assert paired.mcnemar(3, 10) == pytest.approx(0.09228515625)
    assert paired.mcnemar(4, 4) == 1.0
    assert paired.mcnemar(2000, 1000) < 1e-70


def test_counts_of_a_published_table() -> None:
    """Cavo et al., 2012, as chapter 8 of Fagerland, Lydersen, Laake (2017) and its R package work it out."""
    found = paired.from_counts(6, 16, 59 + 6 + 16 + 80)
    assert found.p_value == pytest.approx(0.052479, abs=5e-7) and not found.differs
    assert found.difference == pytest.approx(-0.0621, abs=5e-5)
    assert found.interval_95 == pytest.approx([-0.1240, -0.0054], abs=5e-5)


@pytest.mark.parametrize("counts", [(7, 1, 21), (40, 20, 160), (3, 0, 27), (0, 0, 27), (150, 86, 1600)])
def test_the_difference_interval_by_a_likelihood_searched_for(counts: tuple[int, int, int]) -> None:
    """The share of `only_second` is searched for at each difference, instead of the quadratic's root."""
    first, second, images = counts

    def score(difference: float) -> float:
        def unlikely(share: float) -> float:
            cells = np.array([share + difference, share, 1 - 2 * share - difference])
            return -float(np.sum(np.array([first, second, images - first - second]) * np.log(cells + 1e-300)))

        bounds = max(0.0, -difference), (1 - difference) / 2
        share = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        spread = np.sqrt(images * (2 * share + difference * (1 - difference)))
        return float((first - second - images * difference) / spread)

    middle = (first - second) / images
    low = brentq(lambda d: score(d) - 1.959964, -0.9999, middle - 1e-6)
    high = brentq(lambda d: score(d) + 1.959964, middle + 1e-6, 0.9999)
    assert difference_interval(*counts) == pytest.approx([low, high], abs=2e-5)


def test_the_difference_interval_turns_with_its_sides_and_knows_the_ends() -> None:
    low, high = difference_interval(9, 2, 50)
    assert difference_interval(2, 9, 50) == pytest.approx([-high, -low], abs=1e-9)
    # Without a discordant image, z²/(n + z²) either way, by hand.
    assert difference_interval(0, 0, 27) == pytest.approx([-0.124555, 0.124555], abs=1e-6)
    assert difference_interval(27, 0, 27)[1] == 1.0 and difference_interval(0, 27, 27)[0] == -1.0


def test_the_difference_interval_holds_what_it_promises() -> None:
    """Drawn from known shares, .08 and .03 of 60 images, at least 94 % of the intervals hold .05."""
    draw = np.random.default_rng(5)
    counts = draw.multinomial(60, [0.08, 0.03, 0.89], size=1500)
    held = [low <= 0.05 <= high for low, high in (difference_interval(a, b, 60) for a, b, _ in counts)]
    assert np.mean(held) > 0.94


@pytest.mark.parametrize(
    "successes, trials, low, high", [(13, 16, 0.5435, 0.9595), (10, 10, 0.6915, 1.0), (0, 10, 0.0, 0.3085)]
)
def test_the_exact_interval_is_the_published_one(
    successes: int, trials: int, low: float, high: float
) -> None:
    found = exact_interval(successes, trials)
    assert found == pytest.approx([low, high], abs=5e-5)
    if successes < trials:  # at its upper end, as few successes have a chance of 2.5 %
        assert binom.cdf(successes, trials, found[1]) == pytest.approx(0.025, abs=1e-9)


def test_rows_of_answers_are_counted() -> None:
    first = np.array([1, 1, 1, 0, 1, 0, 1, 1], bool)
    second = np.array([1, 0, 0, 1, 0, 0, 0, 0], bool)
    found = paired.from_answers(first, second)
    assert (found.only_first, found.only_second, found.images) == (5, 1, 8)
    assert found == paired.from_counts(5, 1, 8) and found.difference == 0.5
    assert found.record()["p_value"] == pytest.approx(0.21875)
    assert paired.from_counts(40, 20, 160).differs


def test_counts_that_cannot_be_are_refused() -> None:
    for counts in ((9, 0, 8), (-1, 0, 8), (0, 0, 0)):
        with pytest.raises(InputError, match="together are at most all images"):
            paired.from_counts(*counts)
    with pytest.raises(InputError, match="expected the same images"):
        paired.from_answers(np.ones(3, bool), np.ones(4, bool))
