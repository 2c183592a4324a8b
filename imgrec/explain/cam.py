"""Class activation maps by gradients: Grad-CAM, Grad-CAM++ and HiResCAM.

All three multiply the feature maps `A` `[h, w, C]` of one endpoint by weights from the gradient `g` of the
class's logit by them, add over the channels, and keep what is positive. They differ in the weights alone.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from imgrec.explain import endpoints
from imgrec.explain.asked import Asked, Maps
from imgrec.explain.gradients import derivative
from imgrec.spec import Spec

Features = NDArray[np.float32]
Weights = Callable[[Features, Features], Features]
"""(A, g), each `[N, h, w, C]` → weights that broadcast to them."""
EMPTY = "nothing at this endpoint speaks for the class: the map is empty"


def gradcam(asked: Asked, endpoint: str = "auto") -> Maps:
    """Weigh each channel by the mean of its gradient over all places.

    Source: Selvaraju et al., "Grad-CAM", 2017 (arXiv 1610.02391), eq. 1 and 2.
    """
    return _cam(asked, "gradcam", endpoint, mean_gradient)


def gradcam_plus_plus(asked: Asked, endpoint: str = "auto") -> Maps:
    """Weigh each channel by its positive gradients, each place by how much of the gradient is its own.

    Source: Chattopadhay et al., "Grad-CAM++", 2018 (arXiv 1710.11063), eq. 19, for the exponential of the
    logit: its derivatives are the powers of the logit's. It changes little when the last layer is random
    (docs/explanations.md): more of where features are strong than of what was learned.
    """
    return _cam(asked, "gradcam_plus_plus", endpoint, positive_gradient)


def hirescam(asked: Asked, endpoint: str = "auto") -> Maps:
    """Weigh each channel at each place by its own gradient: no mean that moves evidence to other places.

    Where the endpoint is followed by a mean over places and one dense layer, the map adds up to the logit
    but for its bias.

    Source: Draelos and Carin, "Use HiResCAM instead of Grad-CAM", 2020 (arXiv 2011.08891), eq. 4.
    """
    return _cam(asked, "hirescam", endpoint, lambda features, gradient: gradient)


def mean_gradient(features: Features, gradient: Features) -> Features:
    """Return Grad-CAM's weights `[N, 1, 1, C]`."""
    return gradient.mean(axis=(1, 2), keepdims=True)


def positive_gradient(features: Features, gradient: Features) -> Features:
    """Return Grad-CAM++'s weights `[N, 1, 1, C]`."""
    square = gradient**2
    below = 2 * square + features.sum(axis=(1, 2), keepdims=True) * square * gradient
    share = np.divide(square, below, out=np.zeros_like(below), where=below != 0)
    return (share * np.maximum(gradient, 0)).sum(axis=(1, 2), keepdims=True)


def coarse(asked: Asked, name: str, method: str, weights: Weights) -> NDArray[np.float32]:
    """Return the maps at the endpoint's own fineness, float32 `[N, h, w]`, none negative."""
    import keras

    below, above = endpoints.parted(asked.network(method), name)
    pixels = keras.ops.convert_to_tensor(asked.images, "float32")
    features = keras.ops.convert_to_numpy(keras.ops.cast(below(pixels, training=False), "float32"))
    chosen = np.eye(asked.task.outputs, dtype=np.float32)[asked.classes]
    gradient = derivative(above, method)(features, chosen)
    return np.maximum((weights(features, gradient) * features).sum(axis=-1), 0)


def _cam(asked: Asked, method: str, endpoint: str, weights: Weights) -> Maps:
    name = endpoints.choose(asked.network(method), endpoint, method)
    maps = coarse(asked, name, method, weights)
    notes = tuple("" if each.any() else EMPTY for each in maps)
    return Maps(str(Spec(method, options={"endpoint": name})), enlarged(maps, asked.sides), notes)


def enlarged(maps: NDArray[np.float32], sides: tuple[int, int]) -> NDArray[np.float32]:
    """Bring float32 `[N, h, w]` to `[N, *sides]`, bilinearly."""
    height, width = sides
    return np.stack([cv2.resize(each, (width, height), interpolation=cv2.INTER_LINEAR) for each in maps])
