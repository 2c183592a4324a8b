"""AlexNet as torchvision has it: one tower, no local response normalisation."""

from dataclasses import replace
from typing import Any

import keras

from imgrec.layers.conv import BIASED, conv_relu, max_pool
from imgrec.layers.pooling import adaptive_average_pool
from imgrec.models.architecture import Architecture, Shape
from imgrec.models.head import check_rate, dense_relu, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace

GRID = 6
"""Side of the feature map that the classifier sees at 224 px."""


def _alexnet(row: Architecture, shape: Shape, num_classes: int, *, dropout: float = 0.5) -> keras.Model:
    """Build AlexNet; `dropout` is the share dropped before each of the two hidden dense layers."""
    check_rate(dropout, "dropout")
    image, x = pixels_in(row, shape)
    x = max_pool(conv_relu(x, 64, 11, 4, name="conv1", style=replace(BIASED, padding=2)), 3, 2, name="stem")
    x = max_pool(conv_relu(x, 192, 5, name="conv2"), 3, 2, name="stage1")
    x = conv_relu(x, 384, 3, name="conv3")
    x = conv_relu(x, 256, 3, name="conv4")
    x = max_pool(conv_relu(x, 256, 3, name="conv5"), 3, 2, name="stage2")
    x = keras.layers.Flatten(name="flatten")(_pool_to_grid(x))
    x = dense_relu(_drop(x, dropout, "fc6_dropout"), 4096, name="fc6", end="fc6_relu")
    x = dense_relu(_drop(x, dropout, "fc7_dropout"), 4096, name="fc7", end="features")
    return keras.Model(image, logits_out(x, num_classes), name=row.name)


def _drop(x: Any, rate: float, name: str) -> Any:
    return keras.layers.Dropout(rate, name=name)(x) if rate else x


def _pool_to_grid(x: Any) -> Any:
    """Average down to 6×6, as torchvision's adaptive pooling does.

    A map already smaller than 6×6 stays as it is (adaptive pooling would only repeat its values), so
    the classifier is smaller.
    """
    height, width = (min(side, GRID) for side in x.shape[1:3])
    return adaptive_average_pool(x, (height, width), "grid")


REFERENCE = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "logits": "classifier.6",
}
"""Layer name → torchvision's."""


alexnet = Architecture(
    "alexnet",
    _alexnet,
    {},
    parameters=61_100_840,
    macs=714_188_480,
    source="Krizhevsky, One Weird Trick for Parallelizing CNNs, 2014 (arXiv 1404.5997); torchvision alexnet",
    stages=2,
    learning=Learning(
        Pace(0.02, 5e-4),
        Pace(5e-4, 0.01),
        "Krizhevsky et al., ImageNet Classification, 2012, § 5: 0.01 in batches of 128, 5e-4",
    ),
    min_size=63,
    reference_names=lambda layer: (REFERENCE[layer],),
)
