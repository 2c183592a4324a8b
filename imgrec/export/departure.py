"""The first layer at which a TFLite file leaves the Keras model that it was written from.

The converter names a tensor after the layers that it computes, `net_1/conv_1/BiasAdd;net_1/relu_1/Relu`
where several were fused: it is the output of the last of them. So values on both sides can be put beside each
other, layer by layer, without knowing how the converter rewrote the graph.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from imgrec.layers.fake_quant import ActivationRange
from imgrec.phrases import Phrase

IMAGES = 4
"""Images that both sides are walked with."""
EXACT, ROUNDED = 1e-3, 0.25
"""Relative distances from which on a layer departs: in float32, and where file or model round to int8."""


@dataclass(frozen=True)
class Layer:
    """One layer on both sides, over the images.

    distance: ‖file − model‖ / ‖model‖.
    max_abs, mean_abs: largest and mean distance of a value.
    """

    name: str
    distance: float
    max_abs: float
    mean_abs: float


def first(model: keras.Model, path: Path, images: np.ndarray, bound: float) -> Phrase:
    """Say in one line where the file departs by more than `bound`, or that no layer does."""
    before: str = Phrase("its pixels")
    for layer in compared(model, path, images):
        if not layer.distance <= bound:  # also where it is no number
            return Phrase(
                "departs at {layer} (relative distance {distance:.2g}), agrees up to {before}",
                layer=layer.name,
                distance=layer.distance,
                before=before,
            )
        before = layer.name
    return Phrase(
        "no layer departs by more than {bound:g} of its values, up to {before}", bound=bound, before=before
    )


def compared(model: keras.Model, path: Path, images: np.ndarray) -> list[Layer]:
    """Return the layers that are found on both sides, in the model's order.

    Args:
        model: functional, pixels in 0…255 in; quantised ones round as their files do.
        path: a TFLite file of it.
        images: uint8 `[N, H, W, C]`, N ≥ 1, of the model's channels.
    """
    layers = {layer.name: layer for layer in model.layers if _is_single(layer)}
    places = {name: place for place, name in enumerate(layers)}
    walked = list(_file_values(path, images, places))
    held = [
        name
        for name, layer in layers.items()
        if name in walked[0] and _sides(walked[0][name].shape) == _sides(layer.output.shape[1:])
    ]
    if not held:
        return []
    inner = keras.Model(model.inputs, [layers[name].output for name in held])
    values = inner(keras.ops.convert_to_tensor(images.astype("float32")), training=False)
    exact = [np.asarray(keras.ops.convert_to_numpy(value), "float64") for value in values]
    found = []
    for name, value in zip(held, exact, strict=True):
        file = np.stack([image[name].reshape(value.shape[1:]) for image in walked])
        away = np.abs(file - value)
        distance = float(np.linalg.norm(away)) / max(float(np.linalg.norm(value)), 1e-12)
        found.append(Layer(name, distance, float(away.max()), float(away.mean())))
    return found


def _is_single(layer: keras.Layer) -> bool:
    """Whether a layer computes one tensor, once."""
    computes = not isinstance(layer, (keras.layers.InputLayer, ActivationRange))
    return computes and len(layer._inbound_nodes) == 1 and isinstance(layer.output, keras.KerasTensor)


def _sides(shape: tuple[int, ...]) -> list[int]:
    """The sides that hold more than one value: a dense layer on tokens is a plain matrix in a file."""
    return [side for side in shape if side != 1]


def _file_values(
    path: Path, images: np.ndarray, places: Mapping[str, int]
) -> Iterator[dict[str, np.ndarray]]:
    """Give for each image the real values of the layers' last tensors."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    ends: dict[str, dict] = {}
    for operator in interpreter._get_ops_details():
        for index in operator["outputs"]:
            if index in details and (name := layer_of(details[index]["name"], places)):
                ends[name] = details[index]  # later operators of one layer take its place
    for image in images:
        pixels = np.repeat(image, taken["shape"][-1] // image.shape[-1], axis=-1)
        interpreter.set_tensor(taken["index"], pixels[None].astype(taken["dtype"]))
        interpreter.invoke()
        yield {name: _real(interpreter.get_tensor(end["index"]), end) for name, end in ends.items()}


def layer_of(tensor: str, places: Mapping[str, int]) -> str:
    """Return the last of the layers that a tensor's name tells of, empty where there is none.

    Args:
        tensor: such as `net_1/conv_1/BiasAdd;net_1/relu_1/Relu`.
        places: layer → place in the order of computation.
    """
    names = {
        name
        for part in tensor.split(";")
        for scope in part.split("/")[:-1]
        for name in (scope, re.sub(r"_\d+$", "", scope))
        if name in places
    }
    return max(names, key=places.__getitem__, default="")


def _real(values: np.ndarray, detail: dict) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    if not scale or np.issubdtype(values.dtype, np.floating):
        return np.asarray(values, "float64")
    return np.asarray(scale * (values.astype("float64") - zero_point))
