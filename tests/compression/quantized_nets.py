"""Small networks that hold every layer the zoo uses, and pictures that they can learn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from imgrec.export.inspect import Operator
from imgrec.layers import transformer
from imgrec.layers.attention import CBAM, SqueezeExcitation
from imgrec.layers.fake_quant import ActivationRange
from imgrec.layers.normalization import BatchNormalization
from imgrec.layers.normalize import PixelNormalization

CLASSES = 5


def conv_net(size: int = 16) -> keras.Model:
    """Residual blocks with CBAM and SE, every pooling, a normalisation before its convolution."""
    image = keras.Input((size, size, 3), name="image")
    x = PixelNormalization((124, 116, 104), (58, 57, 57.4), name="normalize")(image)
    x = _conv_bn_relu(x, 8, "stem")
    y = _conv_bn_relu(x, 8, "block1")
    y = CBAM(4, name="cbam")(y)
    x = layers.ReLU(name="block1_out")(layers.Add(name="block1_add")([x, y]))
    x = layers.MaxPooling2D(2, name="max_pool")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.ReLU(6, name="depthwise_relu")(BatchNormalization(name="depthwise_bn")(x))
    x = SqueezeExcitation(4, name="se")(x)
    x = layers.AveragePooling2D(2, name="average_pool")(x)
    x = layers.ReLU(name="pre_relu")(BatchNormalization(name="pre_bn")(x))
    x = layers.Conv2D(16, 3, strides=2, activation="silu", name="last")(
        layers.ZeroPadding2D(1, name="pad")(x)
    )
    x = layers.Dropout(0.1, name="drop")(layers.GlobalAveragePooling2D(name="features")(x))
    return keras.Model(image, layers.Dense(CLASSES, name="logits")(x), name="conv_net")


def vit(size: int = 16) -> keras.Model:
    """Two transformer blocks, GELU in both forms, a class token."""
    image = keras.Input((size, size, 3), name="image")
    x = PixelNormalization((127.5,) * 3, (127.5,) * 3, name="normalize")(image)
    x = layers.Reshape((-1, 16), name="tokens")(layers.Conv2D(16, 4, 4, name="patches")(x))
    x = transformer.TokenEmbedding(name="embedding")(x)
    for block, gelu in enumerate(("exact", "tanh")):
        y = transformer.SelfAttention(2, name=f"attention{block}")(transformer.layer_norm(x, f"norm{block}a"))
        x = layers.Add(name=f"add{block}a")([x, y])
        y = transformer.MLP(32, gelu, name=f"mlp{block}")(transformer.layer_norm(x, f"norm{block}b"))
        x = layers.Add(name=f"add{block}b")([x, y])
    x = transformer.ClassToken(name="features")(transformer.layer_norm(x, "norm"))
    return keras.Model(image, layers.Dense(CLASSES, name="logits")(x), name="vit")


NETS = {"conv_net": conv_net, "vit": vit}


def _conv_bn_relu(x: Any, filters: int, name: str) -> Any:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))


def pictures(count: int, seed: int = 0, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Noisy variants of five fixed patterns: uint8 `[N, size, size, 3]` and int `[N]`."""
    patterns = np.random.default_rng(7).integers(0, 256, (CLASSES, 4, 4, 3))
    patterns = patterns.repeat(size // 4, 1).repeat(size // 4, 2)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    noise = rng.normal(0, 50, (count, size, size, 3)) + rng.normal(0, 20, (count, 1, 1, 1))
    return np.clip(patterns[labels] * 0.4 + 75 + noise, 0, 255).astype("uint8"), labels


def train(model: keras.Model, steps: int, rate: float = 3e-3) -> None:
    """A few steps of Adam on `pictures`."""
    images, labels = pictures(32 * steps, seed=1)
    targets = np.eye(CLASSES, dtype="float32")[labels]
    model.compile(
        keras.optimizers.Adam(rate), keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    model.fit(images.astype("float32"), targets, batch_size=32, epochs=1, verbose=0)


def answers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The model's logits in evaluation, float32 `[N, classes]`."""
    return np.asarray(model(images.astype("float32"), training=False))


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned model and its file, with what held before the fine-tuning."""

    name: str
    float_model: keras.Model
    float_weights: list[np.ndarray]
    quantized: keras.Model
    calibrated: list[float]
    calibrated_logits: np.ndarray
    path: Path
    operators: list[Operator]

    def upper_ends(self) -> list[float]:
        return upper_ends(self.quantized)


def upper_ends(model: keras.Model) -> list[float]:
    """The learned upper ends of all ranges."""
    return [float(r.maximum) for r in model.layers if isinstance(r, ActivationRange) and r.high is None]
