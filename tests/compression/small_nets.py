"""A network of eight pixels a side, converted in seconds."""

import keras
from keras import layers
from quantized_nets import CLASSES

from imgrec.layers.normalization import BatchNormalization
from imgrec.layers.normalize import PixelNormalization


def small_net(size: int = 8, groups: int = 1) -> keras.Model:
    """A convolution, a residual block with a depthwise one, a dense head; endpoints named as the zoo's."""
    image = keras.Input((size, size, 3), name="image")
    x = PixelNormalization((128,) * 3, (64,) * 3, name="normalize")(image)
    x = layers.Conv2D(8, 3, 2, padding="same", use_bias=False, name="stem_conv")(x)
    x = layers.ReLU(name="stem")(BatchNormalization(momentum=0.9, name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="stage1_depthwise")(x)
    y = layers.ReLU(6, name="stage1_relu")(BatchNormalization(momentum=0.9, name="stage1_bn")(y))
    y = layers.Conv2D(8, 3, padding="same", groups=groups, name="stage1_conv")(y)
    x = layers.Add(name="stage1")([x, y])
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, layers.Dense(CLASSES, name="logits")(x), name="small_net")
