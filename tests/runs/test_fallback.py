"""What is tried, and in which order, where a post-training file fails the gate."""

import dataclasses

import pytest

from imgrec.artefact import Promise
from imgrec.compression.layer_errors import LayerError
from imgrec.export.parity import ParityRow
from imgrec.metrics import paired
from imgrec.runs.fallback import HOPELESS, attempts, until_it_holds

# The worst first: conv9 … conv0; a sum of the largest error, which computes nothing, is none of them.
ERRORS = [
    LayerError(f"conv{n}", True, (f"conv{n - 1}",) if n == 7 else (), 40.0 - n, 30.0, 1.0, 0.1)
    for n in range(10)
]
ERRORS += [LayerError("add", False, ("conv1",), 1.0, 1.0, 9.0, 1.0)]


def row(lost: int) -> ParityRow:
    """A row of 2,000 images, on so many of which the file alone is wrong."""
    share = (2000 - lost) / 2000
    counts = paired.from_counts(lost, 0, 2000)
    return ParityRow(
        "ptq_int8", share, share, [share, 1.0], 0.1, 9.0, 1.0, 1.0, counts, 2000, Promise.SAME_ACCURACY
    )


def test_what_is_tried_is_the_smallest_change_first() -> None:
    assert [attempt.text for attempt in attempts("ptq", ERRORS)] == [
        "ptq(float=[conv9])",
        "ptq(float=[conv9, conv8, conv7, conv6])",
        "ptq(activations=16)",
    ]


def test_options_that_a_user_gave_stay() -> None:
    given = "ptq(observer=percentile, float=stem, activations=16)"
    assert [attempt.text for attempt in attempts(given, ERRORS)] == [
        "ptq(observer=percentile, float=[stem, conv9], activations=16)",
        "ptq(observer=percentile, float=[stem, conv9, conv8, conv7, conv6], activations=16)",
    ]


@pytest.mark.parametrize(("holds", "tried"), [(1, 1), (2, 2), (3, 3)])
def test_the_first_that_holds_the_gate_stays(
    holds: int, tried: int, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []

    def write(text: str) -> list[ParityRow]:
        written.append(text)
        return [row(0 if len(written) == holds else 400)]

    dropped: list[str] = []

    (kept,), text = until_it_holds("ptq", [row(400)], ERRORS, write, dropped.append)
    assert len(written) == tried and not dropped and text == written[-1] and kept.accuracy == 1.0
    assert "with all in int8 its accuracy was 80.00%" in kept.note
    assert capsys.readouterr().out.count("ptq_int8 fails the gate; trying: ") == tried


def test_where_nothing_helps_the_file_is_as_it_was_and_what_helps_is_said() -> None:
    written: list[str] = []

    def write(text: str) -> list[ParityRow]:
        written.append(text)
        return [dataclasses.replace(row(400), name="ptq_w8a16" if "16" in text else "ptq_int8")]

    dropped: list[str] = []
    (kept,), text = until_it_holds("ptq", [row(400)], ERRORS, write, dropped.append)
    assert written[-1] == text == "ptq" and len(written) == 4 and dropped == ["ptq_w8a16"]
    assert kept == dataclasses.replace(row(400), note=HOPELESS)
