"""Real processes that take turns, with known costs; and the medians of known turns."""

import sys
from pathlib import Path

import pytest

from benchmarks.turns import Asking, Turn, closing, figures, rounds

STUB = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def start(name: str, milliseconds: int, mebibytes: int = 0, steps: int = 1000) -> Asking:
    # By -c, as an interpreter that sets something up first does: the repository is on its path all the same.
    words = [str(Path(__file__).with_name("taking_steps.py")), *map(str, (milliseconds, mebibytes, steps))]
    return Asking(name, [sys.executable, "-c", STUB, *words], {})


def test_each_process_measures_its_own_steps_and_memory() -> None:
    with closing([start("one", 10), start("three", 30, mebibytes=200)]) as sides:
        found = figures(rounds(sides, 3, steps=2))
    assert [*found] == ["one", "three"]
    for name, seconds in (("one", 0.010), ("three", 0.030)):
        assert seconds <= found[name]["cpu"] < seconds + 0.005
        assert found[name]["wall"] >= found[name]["cpu"] - 0.005
    assert found["three"]["cpu_ratio"] == pytest.approx(3, rel=0.3)
    assert found["one"]["cpu_ratio"] == found["one"]["wall_ratio"] == 1
    assert 195 << 20 < found["three"]["peak"] - found["one"]["peak"] < 205 << 20


def test_processes_end_when_nobody_asks_any_more() -> None:
    with closing([]) as sides:
        sides.append(start("late", 0))
        sides[0].turn(1)
    assert sides[0]._process.returncode == 0


def test_a_process_that_ends_is_named_with_its_exit_code() -> None:
    with closing([start("short", 0, steps=2)]) as sides:
        sides[0].turn(2)
        with pytest.raises(SystemExit, match="short: ended with exit code 3 instead of taking a step"):
            sides[0].turn(1)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # The machine slows down tenfold in the middle: the ratio of the medians would be 30 / 10.
    ours = [Turn(10, 4, 1), Turn(100, 4, 1), Turn(10, 4, 2)]
    theirs = [Turn(20, 6, 1), Turn(200, 6, 1), Turn(30, 8, 3)]
    found = figures({"ours": ours, "theirs": theirs})
    assert found["theirs"] == {"wall": 30, "cpu": 6, "wall_ratio": 2, "cpu_ratio": 1.5, "peak": 3}
    assert found["ours"] == {"wall": 10, "cpu": 4, "wall_ratio": 1, "cpu_ratio": 1, "peak": 2}
