"""Which part of a model learns: freezing up to an endpoint, and groups of depth."""

import contextlib
from collections.abc import Iterator

import keras

from imgrec.models import MODELS


def layers_up_to(model: keras.Model, endpoint: str) -> list[keras.Layer]:
    """Return the layers that `endpoint`, a layer's name, is computed from, itself among them."""
    return list(keras.Model(model.inputs, model.get_layer(endpoint).output).layers)


@contextlib.contextmanager
def frozen(model: keras.Model, endpoint: str) -> Iterator[None]:
    """Hold everything up to `endpoint` as it is in inference, as long as the context lasts.

    The weights of these layers are not trainable, batch normalisation uses its moving statistics and
    leaves them, dropout and stochastic depth do nothing. Compile within the context: what a step does is
    decided then. An empty `endpoint` freezes nothing.
    """
    if not endpoint:
        yield
        return
    layers = [part for layer in layers_up_to(model, endpoint) for part in layer._flatten_layers()]
    trainable = [(layer, layer.trainable) for layer in layers]
    # Keras keeps dropout at work in a layer that is not trainable.
    dropouts = [(layer, layer.rate) for layer in layers if isinstance(layer, keras.layers.Dropout)]
    try:
        for layer, _ in trainable:
            layer.trainable = False
        for layer, _ in dropouts:
            layer.rate = 0.0
        yield
    finally:
        # Outer layers come first, and each sets its inner ones, which then get their own value back.
        for layer, value in trainable:
            layer.trainable = value
        for layer, rate in dropouts:
            layer.rate = rate


@contextlib.contextmanager
def statistics_held(model: keras.Model, hold: bool) -> Iterator[None]:
    """With `hold`, let batch normalisation of `model` work as in inference as long as the context lasts.

    Its weights do not learn either. Compile within the context, as for `frozen`.
    """
    layers = [part for layer in model.layers for part in layer._flatten_layers()] if hold else []
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    trainable = [(layer, layer.trainable) for layer in norms]
    try:
        for layer in norms:
            layer.trainable = False
        yield
    finally:
        for layer, value in trainable:
            layer.trainable = value


def depth_groups(model: keras.Model) -> dict[str, list[keras.Layer]]:
    """Return the layers with trainable weights by depth, input to output: one group an endpoint.

    A layer belongs to the first endpoint that is computed from it; what leads to `logits` alone, the
    head, is the last group. Endpoints without weights of their own make no group.
    """
    groups: dict[str, list[keras.Layer]] = {}
    seen: set[int] = set()
    for endpoint in MODELS[model.name].endpoints:
        fresh = [layer for layer in layers_up_to(model, endpoint) if id(layer) not in seen]
        seen.update(id(layer) for layer in fresh)
        weighted = [layer for layer in fresh if layer.trainable_variables]
        if weighted:
            groups[endpoint] = weighted
    return groups
