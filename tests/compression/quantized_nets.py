"""Small networks that hold every layer the zoo uses, and images that they can learn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from imgrec.artefact import Artefact
from imgrec.compression.variants import VARIANTS
from imgrec.export import parity
from imgrec.export.inspect import Operator
from imgrec.layers import transformer
from imgrec.layers.attention import CBAM, SqueezeExcitation
from imgrec.layers.fake_quant import ActivationRange
from imgrec.layers.normalization import BatchNormalization
from imgrec.layers.normalize import PixelNormalization
from imgrec.layers.residual import drop_path
from imgrec.layers.shuffle import ChannelShuffle, ChannelSlice
from imgrec.tasks.multiclass import Multiclass

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


def dense_net(size: int = 16) -> keras.Model:
    """Concatenations of concatenations, shuffled, split and rolled; hard curves; stochastic depth."""
    image = keras.Input((size, size, 3), name="image")
    x = PixelNormalization((128,) * 3, (64,) * 3, name="normalize")(image)
    x = layers.Conv2D(8, 3, 2, padding="same", activation="hard_silu", name="stem")(x)
    for block in ("a", "b", "c"):
        y = layers.ReLU(name=f"relu_{block}")(BatchNormalization(momentum=0.9, name=f"bn_{block}")(x))
        y = layers.LeakyReLU(0.1, name=f"leak_{block}")(layers.Conv2D(8, 1, name=f"narrow_{block}")(y))
        y = layers.Conv2D(8, 3, padding="same", name=f"conv_{block}")(y)
        x = layers.Concatenate(name=f"concat_{block}")([x, y])
    x = ChannelShuffle(name="shuffle")(x)
    first, second = ChannelSlice(0, 16, name="first")(x), ChannelSlice(16, 32, name="second")(x)
    second = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(second)
    x = layers.Concatenate(name="concat_d")([first, second])
    y = SqueezeExcitation(4, gate="hard_sigmoid", name="se")(x)
    y = layers.Conv2D(32, 1, name="project")(y)
    x = layers.Add(name="add")([x, drop_path(y, 0.2, "path")])
    x = keras.ops.concatenate([x[:, 2:], x[:, :2]], axis=1)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="last")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, layers.Dense(CLASSES, name="logits")(x), name="dense_net")


NETS = {"conv_net": conv_net, "vit": vit, "dense_net": dense_net}


def _conv_bn_relu(x: Any, filters: int, name: str) -> Any:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))


def pictures(count: int, seed: int = 0, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Noisy variants of five fixed patterns: uint8 `[N, size, size, 3]` and int `[N]`."""
    patterns = np.random.default_rng(7).integers(0, 256, (CLASSES, 4, 4, 3))
    places = np.arange(size) * 4 // size
    patterns = patterns[:, places][:, :, places]
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    noise = rng.normal(0, 50, (count, size, size, 3)) + rng.normal(0, 20, (count, 1, 1, 1))
    return np.clip(patterns[labels] * 0.4 + 75 + noise, 0, 255).astype("uint8"), labels


def train(
    model: keras.Model, steps: int, rate: float = 3e-3, batch: int = 32, run_eagerly: bool = False
) -> None:
    """A few steps of Adam on `images`."""
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False, run_eagerly=run_eagerly)
    train_on(model, steps, batch)


def train_on(model: keras.Model, steps: int, batch: int, seed: int = 1) -> None:
    """Some more steps of a model that is compiled already."""
    images, labels = pictures(batch * steps, seed=seed, size=model.input_shape[1])
    targets = np.eye(CLASSES, dtype="float32")[labels]
    model.fit(images.astype("float32"), targets, batch_size=batch, epochs=1, verbose=0)


def answers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The model's logits in evaluation, float32 `[N, classes]`."""
    # A call keeps every activation until it is over: of all images at once, 20 GiB of DenseNet-121's.
    parts = np.array_split(images.astype("float32"), max(1, len(images) // 16))
    return np.concatenate([np.asarray(model(part, training=False)) for part in parts])


def measured(
    path: Path, images: np.ndarray, labels: np.ndarray, reference: np.ndarray, float_logits: np.ndarray
) -> parity.ParityRow:
    """The figures of a fine-tuned model's file, as the gate takes them."""
    artefact = Artefact(path, "tflite", "qat", VARIANTS["qat"].promise)
    classes = tuple(str(number) for number in range(CLASSES))
    return parity.measure(artefact, images, labels, reference, float_logits, Multiclass(classes))


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
    return [float(r.ends()[1]) for r in model.layers if isinstance(r, ActivationRange) and r.high is None]
