"""Options of losses as a user gives them, checked."""

from typing import Any

from imgrec.errors import InputError


def number_option(name: str, value: Any, low: float, high: float | None = None) -> float:
    """Return `value` as a float.

    Raises:
        InputError: it is no number from `low` to `high` (None: without an end).
    """
    limit = float("inf") if high is None else high
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= limit:
        expected = f"{low:g} or more" if high is None else f"a number from {low:g} to {high:g}"
        raise InputError(f"{name}={value!r}: expected {expected}")
    return float(value)
