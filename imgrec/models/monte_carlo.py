"""Dropout left at work in use: answers of many thinned networks, whose disagreement is doubt."""

import contextlib
from collections.abc import Iterator

import keras

from imgrec.errors import InputError


def dropouts(model: keras.Model) -> list[keras.layers.Dropout]:
    """Return every dropout of a rate above 0, those inside of other layers (stochastic depth) too."""
    layers = {id(part): part for layer in model.layers for part in layer._flatten_layers()}
    return [
        part for part in layers.values() if isinstance(part, keras.layers.Dropout) and float(part.rate) > 0
    ]


@contextlib.contextmanager
def dropout_at_work(model: keras.Model, seed: int = 0) -> Iterator[None]:
    """Let dropout and stochastic depth of `model`, and nothing else, work as in training.

    Within the context a call in inference, `model(images, training=False)`, draws new masks each time; batch
    normalisation goes on using its moving statistics. Masks are drawn from `seed` on. Call the model itself:
    what was compiled before holds what it was compiled with.

    Source: Gal and Ghahramani, "Dropout as a Bayesian approximation", 2016 (arXiv 1506.02142).

    Raises:
        InputError: it has no dropout.
    """
    layers = dropouts(model)
    if not layers:
        raise InputError(
            f"{model.name} has no dropout, so every pass gives the same answer; train one that has, such as "
            f'--model "{model.name}(dropout=0.2)" where it takes that, or ask an ensemble or several views'
        )
    states = [(layer.seed_generator.state, layer.seed_generator.state.numpy()) for layer in layers]
    try:
        for number, layer in enumerate(layers):
            layer.seed_generator.state.assign([seed, number])
            # On the instance, so that it stands before the class's; the layer's own is found again below it.
            layer.call = _always(layer)
        yield
    finally:
        for layer in layers:
            del layer.call
        for state, value in states:
            state.assign(value)


def _always(layer: keras.layers.Dropout) -> object:
    own = type(layer).call

    def call(inputs: object, training: object = None) -> object:
        return own(layer, inputs, training=True)

    return call
