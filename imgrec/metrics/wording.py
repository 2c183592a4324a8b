"""How figures are written for people."""

import math
from typing import Any


def percent(share: float | None, digits: int = 1) -> str:
    """Return `91.2 %` for 0.912, and a dash for None; never rounds a flaw up to 100 % or down to 0 %."""
    if share is None or math.isnan(share):
        return "–"
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) == 100:
        return f">\N{NO-BREAK SPACE}{100 - 10**-digits:.{digits}f}\N{NO-BREAK SPACE}%"
    if share > 0 and float(text) == 0:
        return f"<\N{NO-BREAK SPACE}{10**-digits:.{digits}f}\N{NO-BREAK SPACE}%"
    return f"{text}\N{NO-BREAK SPACE}%"


def number(value: Any, digits: int = 3) -> str:
    """Return a number as text: integers with thousands separators, others with `digits` significant ones."""
    if value is None or value == "":
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
