"""Unfolding against one six-dimensional transposition, stretching against a loop over places."""

import math

import keras
import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.layers.patches import FoldPatches, StretchMap, UnfoldPatches


def test_sequences_hold_one_place_of_every_patch() -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    # Images, rows and columns of patches, rows and columns inside one.
    patches = x.reshape(2, 2, 2, 3, 2, 3)
    expected = patches.transpose(0, 2, 4, 1, 3, 5).reshape(2 * 4, 6, 3)
    unfold = UnfoldPatches(2)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(unfold(x)), expected)
    folded = FoldPatches(2, 4, 6)(expected)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(folded), x)
    assert unfold.compute_output_shape((None, 4, 6, 3)) == (None, 6, 3)
    assert unfold.compute_output_shape(x.shape) == expected.shape


def test_refuses_sides_that_are_no_multiple() -> None:
    with pytest.raises(InputError, match="got a map of 5×6, expected multiples of 2"):
        UnfoldPatches(2).build((None, 5, 6, 3))


def bilinear(line: np.ndarray, size: int) -> np.ndarray:
    """One axis, first, with half-pixel centres; what lies beyond the last centre has the border's value."""
    before, rows = len(line), []
    for index in range(size):
        place = min(max((index + 0.5) * before / size - 0.5, 0.0), before - 1.0)
        low = math.floor(place)
        high = min(low + 1, before - 1)
        rows.append(line[low] * (1 - place + low) + line[high] * (place - low))
    return np.stack(rows)


@pytest.mark.parametrize("sides", [(7, 8), (8, 7), (3, 4), (4, 3), (1, 2), (2, 1)])
def test_stretching_is_bilinear(sides: tuple[int, int]) -> None:
    before, after = sides
    x = np.random.default_rng(0).normal(size=(2, before, 5, 3)).astype(np.float32)
    expected = bilinear(x.swapaxes(0, 1), after).swapaxes(0, 1)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(StretchMap(after, 5)(x)), expected, rtol=1e-4, atol=1e-6
    )
    turned = keras.ops.convert_to_numpy(StretchMap(5, after)(x.swapaxes(1, 2)))
    np.testing.assert_allclose(turned.swapaxes(1, 2), expected, rtol=1e-4, atol=1e-6)


def test_stretching_by_more_than_one_is_refused() -> None:
    with pytest.raises(InputError, match="got 4×4 for 6×4, expected sides that differ by one at most"):
        StretchMap(6, 4).build((None, 4, 4, 1))
