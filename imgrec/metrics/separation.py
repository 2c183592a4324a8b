"""How well a score tells unknown images from known ones, whatever the threshold; and how sure that is."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 200
"""Of the bootstrap: the ends of an interval are then known to about a tenth of its width."""
LEAST = 10
"""Fewer images of a kind are too few for an interval by drawing."""
KEPT = 0.95


@dataclass(frozen=True)
class Separation:
    """Figures of a score that is high for unknown images, each with its 95 % interval, None where unknown.

    auroc: probability that an unknown image scores higher than a known one, a tie counting half.
    aupr: average precision, the unknown ones being what is looked for; it depends on their share.
    share: that share, what guessing reaches of `aupr`.
    fpr95: share of unknown images that pass where 95 % of the known ones do.
    """

    auroc: float
    auroc_95: list[float] | None
    aupr: float
    aupr_95: list[float] | None
    share: float
    fpr95: float
    fpr95_95: list[float] | None

    def record(self) -> dict[str, Any]:
        """Return every field, ready for JSON."""
        return asdict(self)


def separation(known: NDArray[np.floating], unknown: NDArray[np.floating], seed: int = 0) -> Separation:
    """Return how well a score, `[N]` of known and `[M]` of unknown images, tells them apart.

    Intervals by bootstrap: known and unknown images are drawn anew, each among themselves, and the 2.5th and
    97.5th percentile of the figures taken (Efron and Tibshirani, "An introduction to the bootstrap", 1993).
    With fewer than `LEAST` images of a kind there are none. FPR at 95 % as in Liang et al., 2018 (arXiv
    1706.02690), known images being the positive ones.
    """
    found = _figures(known, unknown)
    ends: list[list[float] | None] = [None] * 3
    if min(len(known), len(unknown)) >= LEAST:
        draw = np.random.default_rng(seed)
        drawn = [
            _figures(draw.choice(known, len(known)), draw.choice(unknown, len(unknown))) for _ in range(DRAWS)
        ]
        ends = np.percentile(drawn, (2.5, 97.5), axis=0).T.tolist()
    share = len(unknown) / (len(known) + len(unknown))
    return Separation(found[0], ends[0], found[1], ends[1], share, found[2], ends[2])


def _figures(known: NDArray[np.floating], unknown: NDArray[np.floating]) -> tuple[float, float, float]:
    """Return AUROC, AUPR and FPR at 95 %."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    values = np.concatenate([known, unknown])
    is_unknown = np.arange(len(values)) >= len(known)
    # The least threshold that so many known images do not exceed; it is one of their values.
    limit = np.sort(known)[int(np.ceil(KEPT * len(known) - 1e-9)) - 1]
    return (
        float(roc_auc_score(is_unknown, values)),
        float(average_precision_score(is_unknown, values)),
        float((unknown <= limit).mean()),
    )
