"""The statistics of batch normalisation over given batches, measured rather than averaged while training."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from imgrec.layers.normalization import BatchNormalization

Moments = tuple[np.ndarray, np.ndarray]
"""Mean and variance of each channel, float64."""


def normalizations(model: keras.Model) -> list[BatchNormalization]:
    """Return the model's layers of batch normalisation, in order."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, BatchNormalization)]


def estimate(
    model: keras.Model, batches: Iterable[Any], layers: Sequence[BatchNormalization] | None = None
) -> dict[BatchNormalization, Moments]:
    """Return the moments of what reaches `layers`, by default all that are trainable, over `batches`.

    Each batch, `[n, …]` inputs of the model, is normalised by its own moments, as in training, while all
    other layers work as in use. Every example counts the same: E[μ], and for the variance E[σ² + μ²] − E[μ]².
    The model stays as it is, also when a batch fails; no batch, no moments.
    """
    chosen = [x for x in normalizations(model) if x.trainable] if layers is None else list(layers)
    if not chosen:
        return {}
    old = {layer: moments_of(layer) for layer in chosen}
    sums = {layer: (np.zeros_like(mean), np.zeros_like(mean)) for layer, (mean, _) in old.items()}
    total = 0
    try:
        with _noting_batches(chosen):
            for batch in batches:
                model(batch, training=False)
                total += len(batch)
                for layer, (of_means, of_squares) in sums.items():
                    mean, variance = moments_of(layer)
                    of_means += mean * len(batch)
                    of_squares += (variance + mean**2) * len(batch)
    finally:
        put_statistics(old)
    if not total:
        return {}
    means = {layer: (mean / total, square / total) for layer, (mean, square) in sums.items()}
    return {layer: (mean, square - mean**2) for layer, (mean, square) in means.items()}


def moments_of(layer: BatchNormalization) -> Moments:
    """Return the statistics that a layer holds."""
    mean, variance = (keras.ops.convert_to_numpy(v) for v in (layer.moving_mean, layer.moving_variance))
    return mean.astype("float64"), variance.astype("float64")


def put_statistics(statistics: Mapping[BatchNormalization, Moments]) -> None:
    """Give layers their statistics."""
    for layer, (mean, variance) in statistics.items():
        layer.moving_mean.assign(mean.astype("float32"))
        layer.moving_variance.assign(variance.astype("float32"))


@contextmanager
def _noting_batches(layers: Sequence[BatchNormalization]) -> Iterator[None]:
    """Let each layer put the last batch's statistics, alone, into its moving ones."""
    before = [(layer.momentum, layer.trainable) for layer in layers]
    try:
        for layer in layers:
            layer.momentum, layer.trainable, layer.uses_batch = 0.0, True, True
        yield
    finally:
        for layer, (momentum, trainable) in zip(layers, before, strict=True):
            layer.momentum, layer.trainable, layer.uses_batch = momentum, trainable, False
