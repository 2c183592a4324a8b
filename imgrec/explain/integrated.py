"""Integrated gradients: the logit's difference to a blank picture, shared out among the pixels."""

import numpy as np
from numpy.typing import NDArray

from imgrec.explain.asked import Asked, Maps
from imgrec.explain.gradients import Derivative, derivative
from imgrec.spec import Spec, number_option

BATCH = 32
"""Pictures on the way from the blank one that are looked at together."""
WIDE = 0.05
"""A gap above this share is called wide: the steps are too few for the network's bends."""
GRAIN = 0.01
"""Single pixels are far above the rest: so many of the highest are shown alike."""


def integrated_gradients(asked: Asked, steps: int = 64, baseline: float = 0.0) -> Maps:
    """Add up the gradient of the class's logit on the straight way from a blank picture, times the way.

    The parts of all pixels and colours add up to the logit's difference to the blank picture's
    (completeness); by how much they do not, the gap, is said of each picture.

    Args:
        asked: what is explained.
        steps: points on the way, in the middles of equal parts of it.
        baseline: level of the blank picture, 0…255.

    Source: Sundararajan et al., "Axiomatic Attribution for Deep Networks", 2017 (arXiv 1703.01365), eq. 1 and
    3, proposition 1.
    """
    steps = int(number_option("steps", steps, 1, 4096))
    blank = number_option("baseline", baseline, 0, 255)
    method = "integrated_gradients"
    derive = derivative(asked.network(method), method)
    shares = [
        attributed(derive, each, asked, steps, blank)
        for each in zip(asked.images, asked.classes, strict=True)
    ]
    values = np.stack([share.sum(axis=-1) for share in shares])
    notes = tuple(_said(gap) for gap in gaps(asked, np.stack(shares), blank))
    spec = Spec(method, options={"steps": steps, "baseline": blank})
    return Maps(str(spec), values.astype(np.float32), notes, grain=GRAIN)


def attributed(
    derive: Derivative, of: tuple[NDArray[np.uint8], int], asked: Asked, steps: int, blank: float
) -> NDArray[np.float64]:
    """Return the part of every pixel and colour of one image, float64 `[H, W, C]`, `of` it and its class."""
    image, index = of
    way = image.astype(np.float64) - blank
    total = np.zeros_like(way)
    shares = (np.arange(steps) + 0.5) / steps
    for start in range(0, steps, BATCH):
        points = shares[start : start + BATCH, None, None, None]
        weights = np.zeros((len(points), asked.task.outputs), np.float32)
        weights[:, index] = 1
        total += derive(blank + points * way, weights).astype(np.float64).sum(axis=0)
    return way * total / steps


def gaps(asked: Asked, shares: NDArray[np.float64], blank: float) -> NDArray[np.float64]:
    """Return |Σ parts - (logit - blank picture's logit)| as a share of that difference, `[N]`."""
    import keras

    model = asked.network("integrated_gradients")
    pixels = np.concatenate(
        [asked.images.astype(np.float32), np.full_like(asked.images[:1], blank, np.float32)]
    )
    logits = keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(pixels), training=False))
    rows = np.arange(len(asked.classes))
    wanted = logits[rows, asked.classes].astype(np.float64) - logits[-1, asked.classes]
    return np.abs(shares.sum(axis=(1, 2, 3)) - wanted) / np.maximum(np.abs(wanted), 1e-6)


def _said(gap: float) -> str:
    wide = ": wide, take more steps" if gap > WIDE else ""
    return f"completeness gap {100 * gap:.2g} %{wide}"
