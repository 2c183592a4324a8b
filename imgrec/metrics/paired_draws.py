"""Whether figures of two that answered for the same images differ, by drawing these images anew for both."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.metrics import bootstrap
from imgrec.metrics.paired import SIGNIFICANT


@dataclass(frozen=True)
class Difference:
    """A figure of the first less that of the second.

    figure: its name; first, second: its values.
    interval_95: of the difference: ± t deviations of its draws, Student's of N - 1 degrees of freedom.
    p_value: of no difference, by the same t; p_holm: raised for as many pairs of runs as there are.
    """

    figure: str
    first: float
    second: float
    interval_95: list[float]
    p_value: float
    p_holm: float

    @property
    def difference(self) -> float:
        """The first less the second."""
        return self.first - self.second

    @property
    def differs(self) -> bool:
        """Whether the images show a difference, of several pairs all taken together."""
        return self.p_holm < SIGNIFICANT

    def record(self) -> dict[str, Any]:
        """Return every field, ready for JSON."""
        return {**asdict(self), "difference": self.difference, "differs": self.differs}


def of_means(name: str, first: NDArray[Any], second: NDArray[Any]) -> Difference | None:
    """Return the difference of the means of two values an image, `[N]` each; None as `of_draws`."""
    weights = bootstrap.draws(len(first))
    one, other = bootstrap.means(first, weights), bootstrap.means(second, weights)
    return of_draws(name, (float(first.mean()), float(second.mean())), one, other, len(first))


def of_balanced(
    labels: Sequence[str], first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> Difference | None:
    """Return the difference of the balanced accuracies, the means of the classes' shares of right answers.

    None as `of_draws`, of one class alone, or where a class has fewer than `bootstrap.LEAST` images.

    Args:
        labels: `[N]`, the class of each image.
        first: `[N]`, whether the first's answer is right; second: whether the second's is.
    """
    names, place, counts = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.min() < bootstrap.LEAST:
        return None
    marks = (place == np.arange(len(names))[:, None]).astype(np.float64)
    weights = bootstrap.draws(len(labels), len(names)).astype(np.float64)
    values, samples = [], []
    for side in (first, second):
        values.append(float(np.mean(marks @ side / counts)))
        with np.errstate(invalid="ignore"):
            samples.append(np.nanmean((marks * side) @ weights / (marks @ weights), axis=0))
    return of_draws("balanced accuracy", (values[0], values[1]), samples[0], samples[1], len(labels))


def of_draws(
    name: str,
    values: tuple[float, float],
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    images: int,
) -> Difference | None:
    """Return what the same draws `[B]` of two figures say of their difference; None where no draw differs."""
    from scipy.stats import t

    between = first - second
    deviation = float(between.std())
    if images < 2 or deviation < 1e-12:
        return None
    difference = values[0] - values[1]
    half = float(t.ppf(0.975, images - 1)) * deviation
    p_value = float(2 * t.sf(abs(difference) / deviation, images - 1))
    return Difference(name, *values, [difference - half, difference + half], p_value, p_value)
