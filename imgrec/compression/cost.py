"""What a model costs: parameters and multiply-accumulates, in all and up to each endpoint."""

import math
from typing import Any, NamedTuple

import keras

from imgrec.compression.graph import Step, expand
from imgrec.layers.deformable import DeformableConv2D


class Part(NamedTuple):
    """What lies between one endpoint (exclusive) and the next, `name`.

    `shape` is the endpoint's output without the batch, `parameters` the trainable ones of the part,
    `macs` its multiply-accumulates for one image.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


def macs(model: keras.Model) -> int:
    """Return the multiply-accumulates of one image; as `parts` counts them."""
    return sum(_costs(model).values())


def parts(model: keras.Model, endpoints: tuple[str, ...]) -> list[Part]:
    """Split a model at its endpoints, in the order of computation.

    Layers are told apart by where they stand in `model.layers`, which is that order; what follows the
    last endpoint belongs to it. Additions, normalisations, activations and pooling are not counted, as in the
    figures that torchvision and the papers print.

    Args:
        model: functional, one input of known size and one output; left as it is.
        endpoints: names of layers, input to output.

    Raises:
        ValueError: an endpoint that is no layer of the model.
    """
    single, costs = _single(model), _costs(model)
    layers = [layer.name for layer in single.layers]
    result, start = [], 0
    for endpoint in endpoints:
        stop = len(layers) if endpoint == endpoints[-1] else layers.index(endpoint) + 1
        between = single.layers[start:stop]
        shape = tuple(single.get_layer(endpoint).output.shape[1:])
        parameters = sum(math.prod(w.shape) for layer in between for w in layer.trainable_weights)
        result.append(Part(endpoint, shape, parameters, sum(costs.get(layer.name, 0) for layer in between)))
        start = max(start, stop)
    return result


def _single(model: keras.Model) -> keras.Model:
    """The same over a batch of one, where every shape is known."""
    image = keras.Input(batch_shape=(1, *model.inputs[0].shape[1:]), name=model.inputs[0].name)
    return keras.models.clone_model(model, input_tensors=image)


def _costs(model: keras.Model) -> dict[str, int]:
    """Multiply-accumulates of each layer."""
    costs: dict[str, int] = {}
    single = _single(model)
    layers = [layer.name for layer in single.layers]
    known = frozenset(layers)
    for step in expand(single).steps:
        home = home_of(step.name, known) or layers[0]
        costs[home] = costs.get(home, 0) + macs_of(step)
    return costs


def home_of(step: str, layers: frozenset[str]) -> str:
    """The layer that a step comes from: one unfolded from a composite begins with the composite's name."""
    while step and step not in layers:
        step = step.rpartition("_")[0]
    return step


def macs_of(step: Step) -> int:
    """The multiply-accumulates of a step for its whole batch, whose shapes are known."""
    operation: Any = step.operation
    if isinstance(operation, keras.layers.Dense):
        return math.prod(step.inputs[0].shape) * operation.units
    if isinstance(operation, keras.layers.DepthwiseConv2D):
        return math.prod(step.outputs[0].shape) * math.prod(operation.kernel_size)
    if isinstance(operation, keras.layers.Conv2D):
        kernel = operation.kernel.shape
        return math.prod(step.outputs[0].shape) * math.prod(kernel[:3])
    if isinstance(operation, DeformableConv2D):  # its own kernel, and that of the offsets and weights
        taps = math.prod(operation.kernel.shape) + math.prod(operation.guide.kernel.shape)
        return math.prod(step.outputs[0].shape[:3]) * taps
    if type(operation).__name__ == "Matmul":
        return math.prod(step.outputs[0].shape) * step.inputs[0].shape[-1]
    return 0
