"""The greedy soup's recipe, on weights whose score is known."""

import numpy as np

from imgrec.runs.ensembles.soup import Weights, greedy


def score(weights: Weights) -> float:
    """Highest where the first weight is 1; 0 from where it is 3 away."""
    return max(0.0, 1 - abs(float(weights[0][0]) - 1) / 3)


def ingredients(*values: float) -> list[Weights]:
    return [[np.array([value, 10 * value], np.float32), np.array([[value]], np.float32)] for value in values]


def test_what_helps_is_taken_and_what_harms_is_left() -> None:
    # 0.5 is best alone; with 1.5 the mean is the optimum; 3 would lead away again.
    found = greedy(ingredients(3.0, 0.5, 1.6), score)
    assert found.taken == (1, 2) and len(found.tried) == 2
    np.testing.assert_allclose(found.weights[0], [1.05, 10.5], rtol=1e-6)
    assert found.score == score(found.weights) >= max(found.scores)
    assert found.tried[-1] == (0, score(ingredients((3.0 + 0.5 + 1.6) / 3)[0]))


def test_an_equal_score_is_no_fall() -> None:
    found = greedy(ingredients(1.0, 1.0, 1.0), score)
    assert found.taken == (0, 1, 2) and found.score == 1.0


def test_valleys_apart_leave_the_best_alone() -> None:
    found = greedy(ingredients(1.2, -9.0, 9.0), score)
    assert found.taken == (0,) and found.weights[0][0] == np.float32(1.2)
    assert found.record()["taken"] == [0] and len(found.record()["tried"]) == 2
