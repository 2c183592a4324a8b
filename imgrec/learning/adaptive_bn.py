"""Batch normalisation adapted to the images at hand, which need no labels."""

from collections.abc import Iterator

import keras
import numpy as np

from imgrec.errors import InputError
from imgrec.layers.normalization import BatchNormalization
from imgrec.training.batch_statistics import Moments, estimate, moments_of, normalizations, put_statistics


def adapt_batch_norm(
    model: keras.Model, images: np.ndarray, *, batch_size: int = 64, prior: float = 0.0
) -> int:
    """Put the statistics of `images` in place of those that training left in the normalisation layers.

    Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016 (arXiv 1603.04779): what
    the weights learned is the task, what the statistics hold is the domain. With a prior of N the new ones,
    as `estimate` has them, are mixed with the old as if those stood for N images, N / (N + n) to n / (N + n)
    (Schneider et al., "Improving robustness against common corruptions by covariate shift adaptation", 2020,
    arXiv 2006.16971), which steadies them where n is small.

    Args:
        model: changed in place; nothing but moving means and variances is.
        images: uint8 or float32 `[n, H, W, C]` in 0…255, prepared as for training; in random order, for a
            batch of one class alone has other statistics than the domain.
        batch_size: of the passes; a last batch of under half of it joins the one before.
        prior: N, 0 or more.

    Returns:
        The number of layers that were adapted.

    Raises:
        InputError: no image, a negative prior, or a model without batch normalisation.
    """
    layers = normalizations(model)
    if not layers:
        raise InputError(f"{model.name} has no batch normalisation, so there are no statistics to adapt")
    if not len(images) or prior < 0:
        raise InputError(
            f"batch statistics of {len(images)} images with a prior of {prior:g}: expected 1 and 0 or more"
        )
    old = {layer: moments_of(layer) for layer in layers}
    new = estimate(model, (batch.astype("float32") for batch in _batches(images, batch_size)), layers)
    share = len(images) / (len(images) + prior)

    def mixed(layer: BatchNormalization) -> Moments:
        mean, variance = (share * n + (1 - share) * o for n, o in zip(new[layer], old[layer], strict=True))
        return mean, variance

    put_statistics({layer: mixed(layer) for layer in layers})
    return len(layers)


def _batches(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cut the images into batches of `size`; the last has at least half of it, or all there are."""
    starts = list(range(0, len(images), size))
    if len(starts) > 1 and len(images) - starts[-1] < size / 2:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(images)], strict=True):
        yield images[start:end]
