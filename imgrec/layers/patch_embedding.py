"""Patches: an image as a map of them, and maps whose patches are merged."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from imgrec.layers.composite import Composite


def patch_embedding(
    x: Any,
    width: int,
    patch: int,
    *,
    name: str,
    initializer: Callable[[], keras.initializers.Initializer] = keras.initializers.LecunNormal,
) -> Any:
    """Project each `patch`×`patch` square of an image on `width` features.

    A convolution whose stride is its side; what is left of the last row or column beyond a whole patch
    is not looked at, as in the reference implementations.

    Args:
        x: `[B, H, W, C]`.
        width: features of a patch.
        patch: side of a patch in pixels.
        name: of the convolution.
        initializer: of its kernel.

    Returns:
        `[B, H // patch, W // patch, width]`.

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021 (arXiv 2010.11929), § 3.1.
    """
    layer = keras.layers.Conv2D(width, patch, patch, kernel_initializer=initializer(), name=name)
    return layer(x)


@keras.saving.register_keras_serializable("imgrec")
class MergePatches(Composite):
    """Put each 2×2 square of places side by side: `[B, H, W, C]` becomes `[B, ⌈H/2⌉, ⌈W/2⌉, 4C]`.

    Odd sides get a row or column of zeros. Features come in the order upper left, lower left, upper
    right, lower right, as in the paper's code, torchvision's and timm's.

    Source: Liu et al., "Swin Transformer", 2021 (arXiv 2103.14030), § 3.1.
    """

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the squares."""
        _, height, width, _ = x.shape
        if height % 2 or width % 2:
            x = ops.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        squares = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return ops.concatenate(squares, axis=-1)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, ⌈H/2⌉, ⌈W/2⌉, 4C]`."""
        batch, height, width, channels = input_shape
        return batch, -(-height // 2), -(-width // 2), 4 * channels
