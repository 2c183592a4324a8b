"""Class activation maps against a gradient that is taken in one piece, and what they add up to."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from explained import asked_of, network, pixels

from imgrec.errors import InputError
from imgrec.explain import cam, endpoints
from imgrec.explain.asked import Asked
from imgrec.explain.methods import explain, fitting
from imgrec.runtimes import of_model
from imgrec.spec import Spec


def by_one_tape(model: keras.Model, endpoint: str, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """Feature maps and the gradient of each picture's logit by them, in float64, the network in one piece."""
    both = keras.Model(model.input, [model.get_layer(endpoint).output, model.output])
    with tf.GradientTape() as tape:  # watches what is computed from trainable weights: the features too
        features, logits = both(asked.images.astype(np.float32), training=False)
        score = tf.gather(logits, asked.classes, batch_dims=1)
    return features.numpy().astype(np.float64), tape.gradient(score, features).numpy().astype(np.float64)


def plain_gradcam(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Equations 1 and 2 of the paper, place by place."""
    count, height, width, channels = features.shape
    maps = np.zeros((count, height, width))
    for image in range(count):
        for channel in range(channels):
            alpha = gradient[image, :, :, channel].sum() / (height * width)
            maps[image] += alpha * features[image, :, :, channel]
    return np.maximum(maps, 0)


def plain_plus_plus(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Equations 19 and 5 of the paper, place by place, for Y = exp(logit) but for the factor exp(logit)."""
    count, height, width, channels = features.shape
    maps = np.zeros((count, height, width))
    for image in range(count):
        for channel in range(channels):
            a, g = features[image, :, :, channel], gradient[image, :, :, channel]
            weight = 0.0
            for row in range(height):
                for column in range(width):
                    slope = g[row, column]
                    below = 2 * slope**2 + a.sum() * slope**3
                    alpha = slope**2 / below if below else 0.0
                    weight += alpha * max(slope, 0.0)
            maps[image] += weight * a
    return np.maximum(maps, 0)


PLAIN = {
    "gradcam": plain_gradcam,
    "gradcam_plus_plus": plain_plus_plus,
    "hirescam": lambda features, gradient: np.maximum((features * gradient).sum(-1), 0),
}
WEIGHTS = {
    "gradcam": cam.mean_gradient,
    "gradcam_plus_plus": cam.positive_gradient,
    "hirescam": lambda features, gradient: gradient,
}


@pytest.mark.parametrize("name", list(PLAIN))
@pytest.mark.parametrize(("built", "endpoint"), [("resnet8", "stage2"), ("lenet5", "stage1")])
def test_maps_equal_a_plain_computation(name: str, built: str, endpoint: str) -> None:
    model = network(built)
    asked = asked_of(model, pixels())
    expected = PLAIN[name](*by_one_tape(model, endpoint, asked))
    found = cam.coarse(asked, endpoint, name, WEIGHTS[name])
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())
    maps = explain(asked, Spec(name, options={"endpoint": endpoint}))
    assert maps.values.shape == (3, 28, 28) and maps.values.dtype == np.float32
    np.testing.assert_array_equal(maps.values, cam.enlarged(found, (28, 28)))


def test_hirescam_adds_up_to_the_logit_where_a_mean_and_one_layer_follow() -> None:
    """Draelos and Carin, § 3.2: Σ over places and channels of gradient · feature is logit - bias."""
    model = network("resnet8")
    model.get_layer("logits").bias.assign([1.0, -2.0, 3.0])
    asked = asked_of(model, pixels())
    features, gradient = by_one_tape(model, "stage3", asked)
    logits = model(asked.images.astype(np.float32)).numpy()[np.arange(3), asked.classes]
    total = (features * gradient).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(total + np.array([1.0, -2.0, 3.0])[asked.classes], logits, rtol=1e-4)
    # There Grad-CAM is the same map: the gradient is the same at all places.
    one, other = (explain(asked, Spec(name)).values for name in ("gradcam", "hirescam"))
    np.testing.assert_allclose(one, other, atol=1e-5 * other.max())


def test_the_class_decides_on_the_map() -> None:
    model = network("resnet8")
    images = np.repeat(pixels(count=1), 3, axis=0)
    one, other, third = explain(asked_of(model, images, [0, 1, 2]), Spec("gradcam")).values
    assert not np.allclose(one, other) and not np.allclose(one, third)


def test_the_endpoint_is_found_by_name_the_deepest_that_is_fine_enough() -> None:
    assert endpoints.spatial(network("resnet8")) == {
        "stem": (28, 28), "stage1": (28, 28), "stage2": (14, 14), "stage3": (7, 7),
    }  # fmt: skip
    assert endpoints.choose(network("resnet8"), "auto", "gradcam") == "stage3"
    # Of 8×8 pixels the last stage has 2×2 places: the second is taken, with 4×4.
    assert endpoints.choose(network("resnet8", (8, 8, 1)), "auto", "gradcam") == "stage2"
    with pytest.raises(
        InputError, match=r"unknown endpoint of resnet8 with a map 'stag2': did you mean stage2"
    ):
        explain(asked_of(network("resnet8"), pixels()), Spec("gradcam", options={"endpoint": "stag2"}))


def test_a_transformer_of_tokens_is_refused_in_words() -> None:
    model = network("vit_small_image", (16, 16, 1))
    with pytest.raises(InputError, match=r"--explain hirescam: vit_small_image has no map .* take rollout"):
        explain(asked_of(model, pixels((16, 16, 1))), Spec("hirescam"))
    assert fitting(of_model(model)) == "rollout"
    assert fitting(of_model(network("resnet8"))) == "gradcam"


def test_a_map_without_evidence_is_called_empty() -> None:
    model = network("resnet8")
    logits = model.get_layer("logits")
    logits.kernel.assign(-np.abs(logits.kernel.numpy()))  # the last features are behind a ReLU
    maps = explain(asked_of(model, pixels()), Spec("gradcam"))
    assert not maps.values.any() and maps.notes == (cam.EMPTY,) * 3
