"""Data from elsewhere for a model that knows its classes: matched by name, whatever the order."""

import numpy as np
import pytest

from imgrec.data.sources.dataset import Split
from imgrec.data.sources.matching import matched
from imgrec.errors import InputError
from imgrec.runs.evaluating import _place


def split_of(labels: np.ndarray) -> Split:
    return Split(tuple(map(str, range(len(labels)))), labels, np.zeros((len(labels), 2, 2, 1), np.uint8))


def test_one_class_an_image() -> None:
    given = split_of(np.array([0, 1, 1, 3], np.int32))
    found = matched(given, ("dog", "cat", "unused", "owl"), ("cat", "owl", "dog", "fox"), "new")
    assert found.labels.tolist() == [2, 0, 0, 1] and found.labels.dtype == np.int32
    assert found.ids == given.ids and found.images is given.images


def test_any_number_of_classes_an_image() -> None:
    given = split_of(np.array([[1, 0], [1, 1], [0, 0]], np.float32))
    found = matched(given, ("dog", "cat"), ("cat", "owl", "dog"), "new")
    assert found.labels.tolist() == [[0, 0, 1], [1, 0, 1], [0, 0, 0]] and found.labels.dtype == np.float32


def test_numbers_stay_as_they_are() -> None:
    given = split_of(np.array([0.5, 90.0], np.float32))
    assert matched(given, ("angle",), ("angle",), "new") is given


def test_an_image_of_a_class_that_is_not_known_is_refused() -> None:
    for labels in (np.array([0, 1], np.int32), np.array([[1, 1]], np.float32)):
        with pytest.raises(InputError, match="new: the model knows no class 'cow'; it knows cat, dog"):
            matched(split_of(labels), ("dog", "cow"), ("cat", "dog"), "new")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("photos", "photos/", True),
        ("photos", "./old/../photos", True),
        ("npz:a.npz", "npz:./a.npz", True),
        ("npz:a.npz", "csv:a.npz", False),
        ("sample", "sample", True),
        ("photos", "photos2", False),
        ("photos/train:new", "photos/train:old", False),
    ],
)
def test_one_place_is_known_by_any_spelling(one: str, other: str, same: bool) -> None:
    assert (_place(one) == _place(other)) is same
