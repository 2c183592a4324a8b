"""A trainer stopped at any moment, and started again until it is done, ends as if it had never been stopped.

What counts as seen: of each process, the steps before the place where the next one went on. A step after that
was taken in vain, and is taken again from the same weights on the same images.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgrec.files import sha256_of

ROOT = Path(__file__).parents[2]
STEPS, BATCH = 14, 6
Step = tuple[tuple[int, ...], tuple[int, ...]]
"""(phase, epoch, step) and the images' ids."""


def run(folder: Path, epochs: int, kills: int, terms: int, *settings: str) -> dict:
    """Let `killed.py` do it, and return its outcome."""
    words = [sys.executable, "-m", "tests.training.killed", str(folder), *map(str, (epochs, kills, terms, 1))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    ended = subprocess.run([*words, *settings], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads((folder / "outcome.json").read_text())


def taken(log: Path) -> list[list[Step]]:
    """The finished steps of every process."""
    processes: list[list[Step]] = []
    ids: tuple[int, ...] = ()
    for line in log.read_text().splitlines():
        word, *numbers = line.split()
        if word == "start":
            processes.append([])
        elif word == "ids":
            ids = tuple(map(int, numbers))
        else:
            processes[-1].append((tuple(map(int, numbers)), ids))
    return processes


def counted(processes: list[list[Step]]) -> list[Step]:
    """The steps that led to the end."""
    trained = [steps for steps in processes if steps]
    kept: list[Step] = []
    for steps, following in zip(trained, [*trained[1:], None], strict=True):
        kept += [step for step in steps if following is None or step[0] < following[0][0]]
    return kept


def assert_as_if_never_stopped(folder: Path, name: str, epochs: int) -> None:
    [whole] = taken(folder / "whole.log")
    steps = counted(taken(folder / f"{name}.log"))
    assert steps == whole
    assert len(steps) == epochs * STEPS
    for epoch in range(epochs):
        seen = [image for (_, place, _), ids in steps if place == epoch for image in ids]
        assert len(seen) == len(set(seen)) == STEPS * BATCH
    ours, theirs = (folder / f"{each}.unfinished" / "checkpoints" / "train" for each in (name, "whole"))
    last = sorted(path.name for path in theirs.iterdir())[-1]
    for file in ("model.npz", "optimizer.npz", "best.npz"):
        assert sha256_of(ours / last / file) == sha256_of(theirs / last / file), file
    rows = [(each / "history.csv").read_text().splitlines() for each in (ours.parents[1], theirs.parents[1])]
    timing = [rows[0][0].split(",").index(column) for column in ("images_per_second", "seconds")]
    figures = [[[v for i, v in enumerate(r.split(",")) if i not in timing] for r in each] for each in rows]
    assert figures[0] == figures[1]


def test_ten_kills_and_two_terminations_change_nothing(tmp_path: Path) -> None:
    outcome = run(tmp_path, 3, 10, 2)
    assert outcome["codes"] == {"whole": [0], "kill": [-9] * 10 + [0], "term": [143] * 2 + [0]}
    assert_as_if_never_stopped(tmp_path, "kill", 3)
    assert_as_if_never_stopped(tmp_path, "term", 3)
    # What SIGTERM stopped had lost no step, and was quick about it.
    assert sum(map(len, taken(tmp_path / "term.log"))) == 3 * STEPS
    assert max(outcome["waits"][:2]) < 10


@pytest.mark.slow
@pytest.mark.parametrize("method", ["distill(hint=features)", "distill"])
def test_kills_while_a_teacher_is_followed_change_nothing(tmp_path: Path, method: str) -> None:
    """The regressor of a hint learns beside the model; without hints the answers are kept on disk."""
    from killed import tiny
    from taught_by import write_teacher

    from imgrec.data.preprocess import Preprocess
    from imgrec.tasks.multiclass import Multiclass

    recorded = {"name": "lenet5", "input_shape": [8, 8, 1], "num_classes": 3, "options": {}}
    task, seen = Multiclass(("0", "1", "2")), Preprocess(size=(8, 8), colour="grey")
    write_teacher(tmp_path / "run", recorded, task, seen, tiny("lenet5", (8, 8, 1), 3))
    outcome = run(tmp_path, 3, 4, 1, f"teacher={tmp_path / 'run'}", f"method={method}")
    assert outcome["codes"] == {"whole": [0], "kill": [-9] * 4 + [0], "term": [143, 0]}
    assert_as_if_never_stopped(tmp_path, "kill", 3)
    assert_as_if_never_stopped(tmp_path, "term", 3)


@pytest.mark.slow
def test_sixty_kills_and_five_terminations_change_nothing(tmp_path: Path) -> None:
    epochs = 16
    outcome = run(tmp_path, epochs, 60, 5)
    assert outcome["codes"] == {"whole": [0], "kill": [-9] * 60 + [0], "term": [143] * 5 + [0]}
    assert_as_if_never_stopped(tmp_path, "kill", epochs)
    assert_as_if_never_stopped(tmp_path, "term", epochs)
    assert sum(map(len, taken(tmp_path / "term.log"))) == epochs * STEPS
    assert max(outcome["waits"][:5]) < 10


@pytest.mark.slow
def test_kills_in_two_phases_change_nothing(tmp_path: Path) -> None:
    """In the second the classifier alone learns, on balanced classes, from a schedule of its own."""
    outcome = run(tmp_path, 4, 12, 0, "imbalance=decoupled")
    assert outcome["codes"] == {"whole": [0], "kill": [-9] * 12 + [0], "term": []}
    assert_as_if_never_stopped(tmp_path, "kill", 4)
    assert {phase for (phase, _, _), _ in taken(tmp_path / "whole.log")[0]} == {0, 1}
