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
from imgrec.phrases import Phrase
from imgrec.tasks.task import Task

TRAIN = 2000
"""Training images that it learns from at most, evenly spread."""
SEEN = 800
"""Images, to learn from and to answer for, that a network looks at in ten seconds on two cores; where there
are more to answer for, the pixels themselves must do."""
STRENGTH = 0.1
"""scikit-learn's C, as cross-validation chooses it on photographs: choosing takes longer than the rest."""
SIDE = 128
"""Pixels a side that the network sees."""
PIXELS = 16
"""Side of the images whose pixels themselves are the features."""
MOST_CLASSES = 300
"""Classes beyond which solving takes minutes; 2,000 images say little of so many."""
CHUNK = 256
"""Images that are held at once."""


def answers(source: Source, split: Split, task: Task, of_pixels: bool) -> Quick | None:
    """Fit on training images and answer for `split`; None where regression cannot answer the task in seconds.

    Args:
        source: the set.
        split: whose images are answered for.
        task: what is asked of an image.
        of_pixels: go by the pixels, for comparison with a model that is itself a regression on ImageNet's
            features; done too where those are not installed, or would take longer than seconds.
    """
    if not task.solvable or not len(split) or task.outputs > MOST_CLASSES:
        return None
    of_pixels = of_pixels or not packaged(JUDGE) or len(split) > SEEN // 2
    most = min(TRAIN if of_pixels else SEEN - len(split), len(source.train))
    train = source.train.take(np.unique(np.linspace(0, len(source.train) - 1, most).round().astype(int)))
    extract = partial(_pixels, bits=source.bits) if of_pixels else _Judge(source.bits)
    head = probe.solve(extract(train), train.labels, task.outputs, STRENGTH)
    outputs = head.outputs(extract(split)).astype("float32")
    name = Phrase("logistic regression on ImageNet features")
    if of_pixels:
        name = Phrase("logistic regression on {side} × {side} pixels", side=PIXELS)
    plain = task.plain  # what a run found of its own network's sureness says nothing of this one
    return Quick(name, plain.right(plain.scores(outputs), split.labels))


def _pixels(split: Split, bits: Bits) -> np.ndarray:
    """Return small images as they are, float32 `[N, D]` in -1…1."""
    images = load_arrays(split, Preprocess(size=(PIXELS, PIXELS), colour="rgb", bits=bits))
    return images.reshape(len(images), -1).astype("float32") / 127.5 - 1


class _Judge:
    """What `JUDGE` sees in images, float32 `[N, 1280]`."""

    def __init__(self, bits: Bits) -> None:
        self.bits = bits
        model = build_model(JUDGE, (SIDE, SIDE, 3), 1000)
        load_pretrained(model, IMAGENET)
        self.backbone = keras.Model(model.inputs, model.get_layer("features").output, name="quick")

    def __call__(self, split: Split) -> np.ndarray:
        preprocess, parts = Preprocess((SIDE, SIDE), "rgb", bits=self.bits), []
        for begin in range(0, len(split), CHUNK):
            part = split.take(np.arange(begin, min(begin + CHUNK, len(split))))
            images = load_arrays(part, preprocess).astype("float32")
            parts.append(self.backbone.predict(images, batch_size=16, verbose=0))
        return np.concatenate(parts)
