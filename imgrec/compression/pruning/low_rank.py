"""Low-rank factorisation: a dense layer or 1 × 1 convolution as two thinner ones, by its singular values.

Source: Denton et al., "Exploiting linear structure within convolutional networks", 2014 (arXiv 1404.0736),
section 3.2; Sainath et al., 2013, for dense layers.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from imgrec.compression.cost import macs as macs_of
from imgrec.errors import InputError
from imgrec.models.ranks import DOWN, Ranks, factored, pointwise
from imgrec.spec import Value, number_option

HALVINGS = 40
"""Of the interval in which the energy is sought that saves a share of the work: to float32's last digit."""


@dataclass(frozen=True)
class LowRank:
    """The pruning `low_rank(energy=.9)` or `low_rank(macs=.3)`.

    energy: share of the sum of squares of each kernel's singular values that stays at least.
    macs: share of the model's multiply-accumulates to save, by one energy for all layers; 0: `energy` says.
    """

    energy: float = 0.9
    macs: float = 0.0

    def check(self, model: keras.Model) -> None:
        """Make sure that so much of `model` can be saved; quick, and right for an untrained model.

        Raises:
            InputError: it cannot.
        """
        found = layers(model)
        if not found:
            raise InputError(
                f"--prune low_rank: {model.name!r} has no dense layer or 1 × 1 convolution of its own that "
                "is worth putting in two: use channels"
            )
        most = sum(layer.saved(1) for layer in found) / macs_of(model)
        if self.macs and most < self.macs:
            raise InputError(
                f"--prune low_rank: {self.macs:.0%} of the multiply-accumulates of {model.name!r} shall go, "
                f"and {most:.0%} can at most, with a rank of 1: ask for less, or use channels"
            )

    def prune(self, model: keras.Model) -> tuple[keras.Model, Ranks]:
        """Return a copy of a trained `model` with layers in two, to be fine-tuned, and its ranks.

        Only layers that then take fewer multiply-accumulates are put in two.

        Args:
            model: functional, one input and one output; left as it is.

        Raises:
            InputError: as `check`.
        """
        self.check(model)
        found = layers(model)
        energy = self._energy(found, macs_of(model)) if self.macs else self.energy
        ranks = ranks_for(found, energy)
        return split(model, ranks), ranks

    def _energy(self, found: Sequence["Factors"], total: int) -> float:
        """The highest energy with which so much is saved; bisection, as less energy saves no less."""
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            ranks = ranks_for(found, middle)
            saved = sum(layer.saved(ranks[layer.name]) for layer in found if layer.name in ranks)
            low, high = (middle, high) if saved >= self.macs * total else (low, middle)
        return low


@dataclass(frozen=True, eq=False)
class Factors:
    """A layer that may be put in two.

    name: of the layer.
    matrix: float64 (channels in, channels out).
    places: at which it is applied, in one image.
    """

    name: str
    matrix: NDArray[np.float64]
    places: int

    @functools.cached_property
    def energies(self) -> NDArray[np.float64]:
        """What share of the sum of squares the first 1, 2, … singular values hold."""
        squares = np.cumsum(np.linalg.svd(self.matrix, compute_uv=False) ** 2)
        return np.asarray(squares / max(squares[-1], np.finfo(float).tiny))

    def saved(self, rank: int) -> int:
        """Return how many multiply-accumulates an image takes less with so many channels between."""
        return self.places * (self.matrix.size - rank * sum(self.matrix.shape))

    def rank(self, energy: float) -> int:
        """Return the least rank with that share of the sum of squares."""
        first = int(np.searchsorted(self.energies, energy)) + 1
        return min(first, len(self.energies))


def layers(model: keras.Model) -> list[Factors]:
    """Return the layers of `model` that would save something with a rank of 1, and are not in two yet."""
    found, names = [], {layer.name for layer in model.layers}
    for layer in model.layers:
        halved = layer.name.endswith(DOWN) or f"{layer.name}{DOWN}" in names
        if pointwise(layer) and not halved:
            matrix = _matrix(layer)
            places = int(np.prod([n or 1 for n in layer.output.shape[1:-1]]))
            found.append(Factors(layer.name, matrix, places))
    return [each for each in found if each.saved(1) > 0]


def ranks_for(found: Sequence[Factors], energy: float) -> dict[str, int]:
    """Return the ranks that keep so much energy, of the layers that then save something."""
    ranks = {each.name: each.rank(energy) for each in found}
    return {each.name: ranks[each.name] for each in found if each.saved(ranks[each.name]) > 0}


def split(model: keras.Model, ranks: Ranks) -> keras.Model:
    """Return a copy of `model` with its weights, and those layers' nearest of the given ranks.

    U √S and √S Vᵀ of the truncated decomposition: no matrix of that rank is nearer in the sum of squares
    (Eckart and Young, 1936), and both halves have the same scale.
    """
    copy = factored(model, ranks)
    for layer in model.layers:
        if layer.name not in ranks:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
            continue
        rank = ranks[layer.name]
        left, values, right = np.linalg.svd(_matrix(layer), full_matrices=False)
        root = np.sqrt(values[:rank])
        halves = left[:, :rank] * root, root[:, None] * right[:rank]
        first, second = (half.reshape((1,) * (layer.kernel.ndim - 2) + half.shape) for half in halves)
        copy.get_layer(f"{layer.name}{DOWN}").set_weights([first])
        copy.get_layer(layer.name).set_weights([second, *layer.get_weights()[1:]])
    return copy


def _matrix(layer: Any) -> NDArray[np.float64]:
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype(float)
    return kernel.reshape(kernel.shape[-2:])


def low_rank(energy: Value = None, macs: Value = None) -> LowRank:
    """Return the factorisation that these options ask for; energy=0.9 where neither is given.

    Raises:
        InputError: a value that is none of the option's, or both.
    """
    if energy is not None and macs is not None:
        raise InputError("low_rank: energy and macs say the same in two ways: name one")
    if macs is not None:
        return LowRank(macs=number_option("macs", macs, 0.01, 0.99))
    return LowRank(number_option("energy", 0.9 if energy is None else energy, 0.01, 1.0))
