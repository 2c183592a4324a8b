"""What holds of a setting stands on its field: bounds, whether a resumed run or a search may change it."""

import dataclasses
import operator
from collections.abc import Iterator
from typing import Any, Literal, TypeVar

from imgrec.errors import InputError

T = TypeVar("T")
_BOUNDS = {
    "low": (operator.ge, "{:g} or more"),
    "above": (operator.gt, "more than {:g}"),
    "below": (operator.lt, "less than {:g}"),
    "high": (operator.le, "{:g} at most"),
}
"""Name of a bound → the comparison that a number has to pass with it, and how to say so."""
_SHARE = {"low": 0, "high": 1}


def setting(default: T, *, resume: bool = False, tune: bool = True, **bounds: float) -> T:
    """Return the field of a settings' dataclass with facts on it.

    Args:
        default: its value.
        resume: whether it may be another one when an unfinished run goes on.
        tune: whether a search may change it.
        bounds: what numbers it may be, by the names of `_BOUNDS`.
    """
    return dataclasses.field(default=default, metadata={"bounds": bounds, "resume": resume, "tune": tune})


def auto(*, resume: bool = False, tune: bool = True, **bounds: float) -> Any:
    """Return the field of a number that is decided for the data at hand where it is left alone."""
    return setting("auto", resume=resume, tune=tune, **bounds)


def check_bounds(config: object) -> None:
    """Refuse the first number of a settings' dataclass, or of its sections, that is out of its bounds.

    Raises:
        InputError: names the flag, its value and what was expected.
    """
    for field, value in _leaves(config):
        bounds = field.metadata.get("bounds", {})
        if isinstance(value, str) or all(_BOUNDS[name][0](value, limit) for name, limit in bounds.items()):
            continue  # a word, such as auto, stands outside of them
        words = [_BOUNDS[name][1].format(limit) for name, limit in bounds.items()]
        expected = "a share from 0 to 1" if bounds == _SHARE else " and ".join(words)
        shown = f"{value:g}" if isinstance(value, float) else value
        raise InputError(f"--{field.name.replace('_', '-')} {shown}: expected {expected}")


def names_that_may(config: object, fact: Literal["resume", "tune"]) -> frozenset[str]:
    """Return the names of the settings that may change when a run goes on, or in a search."""
    return frozenset(f.name for f, _ in _leaves(config) if f.metadata.get(fact, fact == "tune"))


def _leaves(config: Any) -> Iterator[tuple["dataclasses.Field[Any]", Any]]:
    """The fields that are no sections, with their values."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value)
        else:
            yield field, value
