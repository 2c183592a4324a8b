"""How long answers took, by version, as counts: of millions of them a few hundred numbers are kept."""

import math
from collections import Counter, defaultdict

STEPS = 40
"""Of a factor of ten: times are told within 6 %."""
LEAST = 1e-6
SHARES = {"p50": 0.5, "p95": 0.95}


class Times:
    """Seconds of answers by version."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, version: str, seconds: float) -> None:
        """Take one, 0 or more."""
        self._counts[version][round(STEPS * math.log10(max(seconds, LEAST)))] += 1

    def of(self, version: str) -> dict[str, float]:
        """Return the milliseconds that half of a version's answers, and 95 % of them, took at most."""
        found = sorted(self._counts[version].items())
        total = sum(count for _, count in found)
        told = {}
        for name, share in SHARES.items():
            below = 0
            for place, count in found:
                below += count
                if below >= share * total:
                    told[name] = float(f"{1000 * 10 ** (place / STEPS):.3g}")
                    break
        return told
