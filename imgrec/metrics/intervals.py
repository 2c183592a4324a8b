"""How sure a share or a difference of shares is, for the number of images there are."""

import math

from imgrec.errors import InputError

CONFIDENCE = 0.95
_Z95 = 1.959964


def wilson_interval(successes: int, trials: int, z: float = _Z95) -> list[float]:
    """Return the Wilson score interval `[low, high]` of a proportion (Wilson, 1927); z 1.96 is 95 %."""
    share = successes / trials
    scale = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return [max(0.0, centre - half), min(1.0, centre + half)]


def exact_interval(successes: int, trials: int, confidence: float = CONFIDENCE) -> list[float]:
    """Return the exact interval `[low, high]` of a proportion: never narrower than it may be.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934. Wilson's is
    narrower and right on average; this one is for where an end is held against someone.
    """
    from scipy.stats import binomtest

    found = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return [float(found.low), float(found.high)]


def difference_interval(only_first: int, only_second: int, trials: int, z: float = _Z95) -> list[float]:
    """Return the interval `[low, high]` of the first's share less the second's, on the same images.

    The score interval of Tango, "Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design", Statistics in Medicine 17, 1998: the differences Δ that the counts do not
    refuse, the unknown share of `only_second` put at its most likely value under Δ. It holds its promise
    for few images too, where ± 1.96 deviations does not (Newcombe, Statistics in Medicine 17, 1998).

    Args:
        only_first: images that only the first gets right.
        only_second: images that only the second gets right.
        trials: all images, those that both or none get right among them.
        z: 1.96 is 95 %.

    Raises:
        InputError: negative counts, no images, or more than there are.
    """
    if min(only_first, only_second) < 0 or trials < 1 or only_first + only_second > trials:
        raise InputError(
            f"{only_first} images right for one alone and {only_second} for the other, of {trials}: "
            "expected counts from 0 that together are at most all images, and at least one image"
        )
    found = (only_first - only_second) / trials

    def refused(difference: float) -> bool:
        return abs(_score(only_first, only_second, trials, difference)) > z

    ends = []
    for end in (-1.0, 1.0):
        inside, outside = found, end
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if refused(middle) else (middle, outside)
        ends.append(outside if refused(outside) else end)
    return ends


def _score(only_first: int, only_second: int, trials: int, difference: float) -> float:
    """Return how many deviations the counts lie from a `difference` in -1…1 (Tango's statistic)."""
    spare = difference * (1 - difference)
    b = -only_first - only_second + (2 * trials - only_first + only_second) * difference
    root = math.sqrt(max(0.0, b**2 + 8 * trials * only_second * spare))
    share = (root - b) / (4 * trials)
    variance = trials * (2 * share + spare)
    away = only_first - only_second - trials * difference
    if variance <= 0:
        return math.copysign(math.inf, away) if away else 0.0
    return away / math.sqrt(variance)
