"""Maps that show what a network learned: on the object where it is known, and gone with the weights."""

import keras
import numpy as np
import pytest

from benchmarks.explanations import (
    CANVAS,
    CHANCE,
    CLASSES,
    SIDE,
    cascade,
    likeness,
    maps_of,
    planted,
    pointed,
    trained,
)
from imgrec.data.sources.sample import load_sample
from imgrec.models import build_model

KNOWN = [CLASSES.index(name) for name in ("Trouser", "Bag", "Ankle boot")]
Planted = tuple[keras.Model, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def found() -> Planted:
    """A ResNet-8 that names objects of 14×14 pixels in 28×28 of noise; pictures that it does, and where."""
    source = load_sample()

    def some(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, ...]:
        kept = np.flatnonzero(np.isin(labels, KNOWN))[:count]
        pictures, corners = planted(images[kept][:, ::2, ::2], seed, CANVAS)
        return pictures, corners, np.searchsorted(KNOWN, labels[kept])

    pictures, _, labels = some(source.train.images, source.train.labels, 1500, 1)
    model = trained("resnet8", pictures, labels, epochs=6)
    pictures, corners, labels = some(source.test.images, source.test.labels, 150, 2)
    right = model.predict(pictures.astype(np.float32), verbose=0).argmax(axis=1) == labels
    assert right.mean() > 0.9
    return model, pictures[right][:60], corners[right][:60], labels[right][:60]


@pytest.mark.parametrize(
    ("line", "least"),
    [
        ("gradcam", 0.8),
        ("gradcam_plus_plus", 0.8),
        ("hirescam", 0.8),
        ("integrated_gradients(steps=8)", 0.6),
        pytest.param("occlusion(window=6)", 0.6, marks=pytest.mark.slow),
    ],
)
def test_the_highest_place_lies_on_the_object(found: Planted, line: str, least: float) -> None:
    model, pictures, corners, labels = found
    hits = pointed(maps_of(model, pictures, labels, line), corners, SIDE).mean()
    assert hits > least > 2 * CHANCE


def test_random_weights_change_the_map_from_the_top_down(found: Planted) -> None:
    model, pictures, _, labels = found
    pictures, labels = pictures[:20], labels[:20]
    lines = ("gradcam", "integrated_gradients(steps=8)")
    before = {line: maps_of(model, pictures, labels, line) for line in lines}
    kept = model.get_weights()
    keras.utils.set_random_seed(5)
    fresh = build_model("resnet8", (CANVAS, CANVAS, 1), len(KNOWN))
    falls: dict[str, list[float]] = {line: [] for line in lines}
    ends = []
    for endpoint in cascade(model, fresh):
        ends.append(endpoint)
        for line in lines:
            falls[line].append(likeness(before[line], maps_of(model, pictures, labels, line)))
    model.set_weights(kept)
    print(falls)
    assert ends == ["logits", "stage3", "stage2", "stage1", "stem"]
    for line in lines:
        np.testing.assert_allclose(likeness(before[line], before[line]), 1)
        assert falls[line][0] < 0.7 and falls[line][-1] < 0.3, line
    np.testing.assert_allclose(maps_of(model, pictures, labels, "gradcam"), before["gradcam"])
