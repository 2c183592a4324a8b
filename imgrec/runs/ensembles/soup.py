"""Greedy soups: one network whose weights are the average of several trained ones'."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgrec.metrics.fusing import mean_weights

Weights = list[np.ndarray]


@dataclass(frozen=True)
class Soup:
    """What a greedy soup came to.

    weights: of the network.
    taken: numbers of the ingredients in it, in the order they were taken.
    score: of the soup on the validation images; scores: of each ingredient alone.
    tried: score of the soup with each ingredient that was offered after the first, `(number, score)`.
    """

    weights: Weights
    taken: tuple[int, ...]
    score: float
    scores: tuple[float, ...]
    tried: tuple[tuple[int, float], ...]

    def record(self) -> dict[str, Any]:
        """Return what run.json has of it."""
        tried = [{"ingredient": number, "score": score} for number, score in self.tried]
        return {"taken": list(self.taken), "score": self.score, "scores": list(self.scores), "tried": tried}


def greedy(ingredients: Sequence[Weights], score: Callable[[Weights], float]) -> Soup:
    """Add ingredients, the best first, each only where the score of the average does not fall.

    Source: Wortsman et al., "Model soups", 2022 (arXiv 2203.05482), recipe 1.

    Args:
        ingredients: weights of networks of one architecture, array by array.
        score: of a network with such weights on validation images; higher is better.
    """
    alone = tuple(score(weights) for weights in ingredients)
    order = sorted(range(len(ingredients)), key=lambda number: -alone[number])
    taken, best, tried = [order[0]], alone[order[0]], []
    for number in order[1:]:
        found = score(mean_weights([ingredients[each] for each in (*taken, number)]))
        tried.append((number, found))
        if found >= best:
            taken.append(number)
            best = found
    average = mean_weights([ingredients[each] for each in taken])
    return Soup(average, tuple(taken), best, alone, tuple(tried))
