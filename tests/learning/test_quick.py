"""The baseline of seconds: right where colour alone tells the classes, by pixels and by features."""

import numpy as np
import pytest

from imgrec.data.sources.dataset import Source, Split
from imgrec.learning import quick
from imgrec.tasks.multiclass import Multiclass


def coloured(images: int, seed: int) -> Split:
    """Noise, reddish or bluish."""
    draw, labels = np.random.default_rng(seed), np.arange(images, dtype="int32") % 2
    pixels = draw.integers(0, 156, (images, 24, 24, 3))
    pixels[..., 0] += 100 * (labels == 0)[:, None, None]
    pixels[..., 2] += 100 * (labels == 1)[:, None, None]
    return Split(tuple(map(str, range(images))), labels, images=pixels.astype("uint8"))


@pytest.mark.parametrize(
    ("of_pixels", "name"),
    [(True, "logistic regression on 16 × 16 pixels"), (False, "logistic regression on ImageNet features")],
)
def test_colours_are_told_apart(of_pixels: bool, name: str) -> None:
    splits = coloured(40, 0), coloured(10, 1), coloured(20, 2)
    source = Source(("red", "blue"), "rgb", *splits, "0" * 64, "made", 24)
    found = quick.answers(source, source.test, Multiclass(source.classes), of_pixels)
    assert found is not None
    assert found.name == name
    assert found.right.shape == (20,)
    assert found.right.mean() >= 0.9


def test_many_images_are_answered_for_by_their_pixels() -> None:
    splits = coloured(40, 0), coloured(10, 1), coloured(quick.SEEN, 2)
    source = Source(("red", "blue"), "rgb", *splits, "0" * 64, "made", 24)
    found = quick.answers(source, source.test, Multiclass(source.classes), of_pixels=False)
    assert found is not None and "pixels" in found.name
    assert found.right.mean() >= 0.95


def test_very_many_classes_take_too_long() -> None:
    splits = coloured(40, 0), coloured(10, 1), coloured(20, 2)
    classes = tuple(map(str, range(quick.MOST_CLASSES + 1)))
    source = Source(classes, "rgb", *splits, "0" * 64, "made", 24)
    assert quick.answers(source, source.test, Multiclass(classes), of_pixels=True) is None
