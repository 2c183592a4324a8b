"""Ranges as observers read them off a batch, by hand-made figures."""

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.layers.observers import OBSERVERS, LeastSquares, Percentile, read_observer
from imgrec.spec import Spec


def merged(name: str, values: list[float]) -> float:
    observer, end = read_observer(name), 0.0
    for batches, value in enumerate(values):
        end = observer.merge(end, value, batches)
    return end


def test_batches_are_averaged_followed_or_only_the_furthest_counts() -> None:
    assert merged("mean", [2.0, 4.0, 9.0]) == pytest.approx(5.0)
    assert merged("moving(momentum=0.5)", [2.0, 4.0, 9.0]) == pytest.approx(6.0)
    assert merged("extremes", [2.0, 9.0, 4.0]) == 9.0 and merged("extremes", [-2.0, -9.0, -4.0]) == -9.0


def test_a_percentile_clips_what_lies_beyond_at_both_ends() -> None:
    values = np.arange(-100, 901, dtype="float32")
    assert Percentile(99).ends(values) == pytest.approx((-90.0, 890.0))
    assert Percentile().ends(values) == pytest.approx((-99.9, 899.9), abs=0.01)
    many = np.tile(values, 3000)
    assert Percentile(99).ends(many) == pytest.approx((-90.0, 890.0), abs=1), "thinned out evenly"


def test_least_squares_rounds_with_less_error_than_the_whole_range() -> None:
    values = np.random.default_rng(0).normal(size=20_000).astype("float32")
    values[0] = 60.0  # one far out, which costs the others their resolution
    low, high = LeastSquares().ends(values)

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        near = np.clip(np.round((values - low) / step), 0, 255) * step + low
        return float(np.mean((near - values) ** 2))

    assert 4 < high < 60
    assert error(low, high) < error(float(values.min()), 60.0)
    even = np.linspace(-1, 1, 4001).astype("float32")
    assert LeastSquares().ends(even) == pytest.approx((-1.0, 1.0), abs=0.03)


def test_only_those_that_may_follow_follow() -> None:
    follows = {name: read_observer(name).follows for name in OBSERVERS}
    assert follows == {"mean": 0.99, "moving": 0.9, "extremes": None, "percentile": None, "mse": None}


@pytest.mark.parametrize(
    "asked, said",
    [
        ("percentil", "did you mean percentile"),
        ("percentile(share=20)", "share=20: expected a number from 50 to 100"),
        (Spec.parse("percentile(part=99)"), "unknown option of observer percentile 'part'"),
        ("mean(share=1)", "takes no options"),
        (99.9, "expected one of mean, moving"),
    ],
)
def test_what_is_no_observer_is_told_in_one_line(asked: object, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        read_observer(asked)  # type: ignore[arg-type]
