"""A model with layers in two: what low-rank factorisation leaves, rebuilt from numbers in run.json."""

from collections.abc import Mapping
from typing import Any

import keras

from imgrec.errors import InputError

Ranks = Mapping[str, int]
"""Layer name → how many channels lie between its two halves, such as `{"logits": 12}`."""

DOWN = "_down"
"""What the name of the first half ends in; the second has the layer's own, so that endpoints stay."""


def factored(model: keras.Model, ranks: Ranks) -> keras.Model:
    """Return `model` built anew, with new weights, layers of `ranks` as two with so many channels between.

    The first half takes the strides, has no bias and no activation; the second is the layer itself on fewer
    channels. Other layers, names and endpoints stay.

    Args:
        model: functional; left as it is.
        ranks: of layers for which `pointwise` holds.

    Raises:
        InputError: a layer that is not there or cannot be halved, or a rank that is none.
    """
    for name, rank in ranks.items():
        _check(model, name, rank)
    firsts: dict[str, keras.layers.Layer] = {}

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in ranks:
            firsts[layer.name] = _first(layer, ranks[layer.name])
            config |= {"strides": (1, 1)} if isinstance(layer, keras.layers.Conv2D) else {}
        return type(layer).from_config(config)

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        if layer.name in firsts:
            args = (firsts[layer.name](args[0]), *args[1:])
        return layer(*args, **kwargs)

    return keras.models.clone_model(model, clone_function=clone, call_function=call)


def pointwise(layer: keras.layers.Layer) -> bool:
    """Whether a layer is one matrix at every place: Dense, or a convolution of 1 × 1 in one group."""
    kind = type(layer)
    if kind is keras.layers.Dense:
        return True
    plain = kind is keras.layers.Conv2D and layer.data_format == "channels_last"
    return plain and layer.kernel_size == (1, 1) and layer.groups == 1


def _first(layer: Any, rank: int) -> keras.layers.Layer:
    name = f"{layer.name}{DOWN}"
    if isinstance(layer, keras.layers.Dense):
        return keras.layers.Dense(rank, use_bias=False, name=name, dtype=layer.dtype_policy)
    return keras.layers.Conv2D(
        rank,
        1,
        strides=layer.strides,
        padding=layer.padding,
        use_bias=False,
        name=name,
        dtype=layer.dtype_policy,
    )


def _check(model: keras.Model, name: str, rank: Any) -> None:
    known = {layer.name: layer for layer in model.layers}
    if name not in known or not pointwise(known[name]):
        raise InputError(f"{model.name}: has no dense layer or 1 × 1 convolution {name!r} to put in two")
    most = min(known[name].kernel.shape[-2:])
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= most:
        raise InputError(
            f"{model.name}: layer {name}: rank={rank!r}: expected a whole number from 1 to {most}"
        )
