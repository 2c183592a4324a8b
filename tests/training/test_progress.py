"""What the live line says: only what was measured, and all that is left."""

import time

import pytest

from imgrec.training import progress
from imgrec.training.phase import Phase, Solved, alike_until
from imgrec.training.progress import Ahead, Progress


class Clock:
    """A clock that stands still but for what is said to pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progress.time, "perf_counter", lambda: self.now)

    def epoch(self, shown: Progress, number: int, steps: list[float], validation: float) -> dict[str, float]:
        shown.on_epoch_begin(number)
        for batch, seconds in enumerate(steps):
            self.now += seconds
            shown.on_train_batch_end(batch, {"loss": 1.0})
        self.now += validation
        logs = {"loss": 1.0}
        shown.on_epoch_end(number, logs)
        return logs


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    assert progress.time is time
    return Clock(monkeypatch)


def test_an_epoch_of_one_step_says_no_pace_before_it_has_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Progress(3, 1, 91)
    shown.on_train_begin()
    first = clock.epoch(shown, 0, [30.0], 1.0)  # compiled in it
    assert "images_per_second" not in first and first["seconds"] == 31
    second = clock.epoch(shown, 1, [9.1], 0.9)
    assert second["images_per_second"] == 10
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "epoch 1/3  loss 1.0000"
    assert lines[1] == "epoch 2/3  loss 1.0000  10 img/s  0:10 left"


def test_a_slow_pace_is_not_rounded_to_none(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(2, 2, 1)
    shown.on_train_begin()
    clock.epoch(shown, 0, [9.0, 4.0], 2.0)
    assert capsys.readouterr().out == "epoch 1/2  loss 1.0000  0.25 img/s  0:10 left\n"


def test_what_is_left_counts_what_comes_after(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(4, 4, 8, ahead=Ahead(epochs=1.5, seconds=7.0))
    shown.on_train_begin()
    clock.epoch(shown, 0, [20.0, 2.0, 2.0, 2.0], 2.0)  # 4 steps of 2 s and 2 s of validation: 10 s
    assert capsys.readouterr().out.endswith("4 img/s  about 0:52 left, exports included\n")
    clock.epoch(shown, 3, [2.0] * 4, 2.0)
    assert capsys.readouterr().out.endswith("about 0:22 left, exports included\n")


def test_before_a_slower_phase_only_this_one_s_end_is_told(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Progress(9, 2, 8, ahead=Ahead(1))
    shown.until = 3
    shown.on_train_begin()
    clock.epoch(shown, 0, [5.0, 1.0], 0.0)
    assert capsys.readouterr().out.endswith("8.0 img/s  0:04 to epoch 3\n".replace("8.0", "8"))


def test_which_epochs_take_as_long() -> None:
    head = Solved(None, 1, solve=lambda: None, part=object())  # type: ignore[arg-type]
    frozen, whole = Phase(None, None, 3, frozen="stage2"), Phase(None, None, 9)
    last = Phase(None, None, 12, frozen="features", restart=True)
    assert [alike_until([head, frozen, whole, last], n) for n in range(4)] == [1, 3, 12, 12]
    assert alike_until([frozen], 0) == 3
