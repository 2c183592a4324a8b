"""How figures are written for people."""

import math
from typing import Any

from imgrec.phrases import Phrase


def percent(share: float | None, digits: int = 1) -> Phrase:
    """Return `91.2 %` for 0.912, and a dash for None; never rounds a flaw up to 100 % or down to 0 %."""
    if share is None or math.isnan(share):
        return Phrase("–")
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) == 100:
        return Phrase(
            ">\N{NO-BREAK SPACE}{share}\N{NO-BREAK SPACE}%", share=f"{100 - 10**-digits:.{digits}f}"
        )
    if share > 0 and float(text) == 0:
        return Phrase("<\N{NO-BREAK SPACE}{share}\N{NO-BREAK SPACE}%", share=f"{10**-digits:.{digits}f}")
    return Phrase("{share}\N{NO-BREAK SPACE}%", share=text)


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
