"""How figures are written for people."""

import pytest

from imgrec.metrics.wording import number, percent


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9124, "91.2 %"),
        (1.0, "100.0 %"),
        (0.99999, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.0, "0.0 %"),
        (None, "–"),
    ],
)
def test_percent_never_flatters(share: float | None, text: str) -> None:
    assert percent(share).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2000, "2,000"), (312.4, "312"), (0.21149, "0.211"), (2.1e-5, "2.1e-05"), (None, "–"), ("x", "x")],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text
