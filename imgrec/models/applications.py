"""ImageNet weights of keras.applications, for the models that are the same network there and here.

Its ResNets (biases, strides elsewhere), MobileNets and EfficientNets (padding elsewhere) and its Inception
(averages without the padding) are other networks, so their weights are not offered.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from imgrec.errors import InputError
from imgrec.models import weights

APPLICATIONS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
    "convnext_tiny": "ConvNeXtTiny",
    "convnext_small": "ConvNeXtSmall",
    "convnext_base": "ConvNeXtBase",
}
"""Our name → the function of keras.applications."""
CAFFE_MEAN = (123.68, 116.779, 103.939)
"""Red, green and blue that the VGGs of keras.applications subtract, without a division (`mode="caffe"`)."""


def download(name: str) -> keras.Model:
    """Return the model `name` of `APPLICATIONS` with ImageNet weights, fetched or from Keras's cache.

    Raises:
        InputError: the weights are not in the cache and cannot be fetched.
    """
    function = getattr(keras.applications, APPLICATIONS[name])
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras's progress must not mix with our answers
            return function(weights="imagenet", classifier_activation=None)
    except Exception as error:
        if "URL fetch failure" not in str(error):  # Keras raises a bare Exception for it
            raise
        raise InputError(
            f"the ImageNet weights of {name} could not be fetched ({error}); connect to the network, or "
            "name a .safetensors file that torchvision or timm published"
        ) from None


def state(model: keras.Model, source: keras.Model) -> dict[str, np.ndarray]:
    """Return the weights of `source` under the reference names of `model` and in PyTorch's layout.

    Both list their weights in the order of computation, so the n-th here is the n-th there.

    Args:
        model: one of ours, built by `build_model`, of any size and number of classes.
        source: the model of keras.applications that `APPLICATIONS` gives for it, with its head.

    Raises:
        InputError: `model` is built in a form with other layers.
    """
    ours = list(weights.candidates(model))
    theirs = list(_variables(source, _epsilon(model)))
    if len(ours) != len(theirs):
        raise InputError(
            f"{model.name} has {len(ours)} weights in this form, "
            f"{len(theirs)} in that of the ImageNet weights: choose a larger image size and default options"
        )
    found = {names[0]: array for (names, *_), array in zip(ours, theirs, strict=True)}
    if model.name.startswith("vgg"):
        kernel, bias = (names[0] for names, *_ in ours[:2])
        found[kernel], found[bias] = _without_caffe(found[kernel], found[bias], model)
    return found


def _variables(source: keras.Model, epsilon: float) -> Iterator[np.ndarray]:
    """Every weight of `source`, in PyTorch's layout, for normalisations with our ε."""
    for layer in source.layers:
        if isinstance(layer, keras.layers.Normalization):
            continue  # of pixels; ours are constants
        for variable in layer.weights:
            array = variable.numpy()
            if variable.name == "moving_variance":
                array = array + np.float32(layer.epsilon - epsilon)
            yield _to_torch(array, layer)


def _to_torch(array: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    if array.ndim == 4:
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        return array.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    if array.ndim == 2:
        before = layer.input._keras_history.operation
        if isinstance(before, keras.layers.Flatten):
            height, width, channels = before.input.shape[1:]
            array = array.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
            array = array.reshape(height * width * channels, -1)
        return array.T
    return array


def _epsilon(model: keras.Model) -> float:
    """ε of our batch normalisations, which all have the same; any number where there are none."""
    found = [layer.epsilon for layer in model.layers if hasattr(layer, "moving_variance")]
    return found[0] if found else 0.0


def _without_caffe(kernel: np.ndarray, bias: np.ndarray, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Fold the other preprocessing into the first convolution: from blue, green, red to ours, and its scale.

    Exact but for the image's edge, where zero is another grey, by half a level.
    """
    pixels: Any = model.get_layer("normalize")
    mean, std = (np.resize(np.asarray(v, np.float32), 3) for v in (pixels.mean, pixels.std))
    kernel = kernel[:, ::-1]  # O×I×H×W
    bias = bias + np.einsum("oihw,i->o", kernel, mean - np.asarray(CAFFE_MEAN, np.float32))
    return np.ascontiguousarray(kernel * std[:, None, None]), bias
