"""What a few seconds give: logistic regression on ready-made features, to compare a trained model with."""

from functools import partial

import keras
import numpy as np

from imgrec.data.decode import Bits
from imgrec.data.loading import load_arrays
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.learning import probe
from imgrec.learning.features import JUDGE
from imgrec.metrics.baseline import Quick
from imgrec.models import build_model
from imgrec.models.pretrained import IMAGENET, load_pretrained, packaged
from imgrec.tasks.task import Task

TRAIN = 2000
"""Training images that it learns from at most, evenly spread."""
STRENGTH = 0.1
"""scikit-learn's C, as cross-validation chooses it on photographs: choosing takes longer than the rest."""
SIDES = (64, 128)
"""Pixels a side that the features are of, for images up to 64 pixels and for larger ones."""
PIXELS = 16
"""Side of the images whose pixels themselves are the features."""
CHUNK = 256
"""Images that are held at once."""


def answers(source: Source, split: Split, task: Task, of_pixels: bool) -> Quick | None:
    """Fit on training images and answer for `split`; None where regression cannot answer the task.

    Args:
        source: the set.
        split: whose images are answered for.
        task: what is asked of an image.
        of_pixels: go by the pixels, for comparison with a model that is itself a regression on ImageNet's
            features; done too where those are not installed.
    """
    if not task.solvable or not len(split):
        return None
    of_pixels = of_pixels or not packaged(JUDGE)
    rows = np.unique(np.linspace(0, len(source.train) - 1, min(TRAIN, len(source.train))).round().astype(int))
    train = source.train.take(rows)
    extract = partial(_pixels, bits=source.bits) if of_pixels else _Judge(source.side, source.bits)
    head = probe.solve(extract(train), train.labels, task.outputs, STRENGTH)
    outputs = head.outputs(extract(split)).astype("float32")
    name = "logistic regression on " + (f"{PIXELS} × {PIXELS} pixels" if of_pixels else "ImageNet features")
    return Quick(name, task.right(outputs, split.labels))


def _pixels(split: Split, bits: Bits) -> np.ndarray:
    """Return small images as they are, float32 `[N, D]` in -1…1."""
    images = load_arrays(split, Preprocess(size=(PIXELS, PIXELS), colour="rgb", bits=bits))
    return images.reshape(len(images), -1).astype("float32") / 127.5 - 1


class _Judge:
    """What `JUDGE` sees in images, float32 `[N, 1280]`."""

    def __init__(self, side: int, bits: Bits) -> None:
        self.bits = bits
        self.side = SIDES[0] if side <= SIDES[0] else SIDES[1]
        model = build_model(JUDGE, (self.side, self.side, 3), 1000)
        load_pretrained(model, IMAGENET)
        self.backbone = keras.Model(model.inputs, model.get_layer("features").output, name="quick")

    def __call__(self, split: Split) -> np.ndarray:
        preprocess, parts = Preprocess((self.side, self.side), "rgb", bits=self.bits), []
        for begin in range(0, len(split), CHUNK):
            part = split.take(np.arange(begin, min(begin + CHUNK, len(split))))
            images = load_arrays(part, preprocess).astype("float32")
            parts.append(self.backbone.predict(images, batch_size=64, verbose=0))
        return np.concatenate(parts)
