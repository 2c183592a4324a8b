"""Several views of each image of a batch, for a loss that asks for equal answers."""

import cv2
import numpy as np
import tensorflow as tf

from imgrec.data.augment.batch import Example, Operation
from imgrec.data.augment.policies import augmix
from imgrec.data.augment.view import View
from imgrec.data.order.draws import Draws

VIEWS = 3
"""The image itself and two AugMix views of it."""
# Of the 64 streams of draws `randomness.py` takes the first and a line of operations up to 56.
_FIRST_STREAM = 60


def augmix_views(seed: int) -> Operation:
    """Put two AugMix views beside each image of a batch: uint8 `[B, H, W, C]` → `[B, 3, H, W, C]`.

    The image itself comes first. It is as all augmentation before has left it, and so are what the views are
    made of: they share its crop and its mirroring. A view is a function of (seed, epoch, index).

    Source: Hendrycks et al., "AugMix", 2020 (arXiv 1912.02781), section 3.
    """
    cv2.setNumThreads(1)  # batches are worked on side by side already

    def mix(images: np.ndarray, epoch: np.ndarray, index: np.ndarray) -> np.ndarray:
        result = np.repeat(images[:, np.newaxis], VIEWS, axis=1)
        for row, (e, i) in enumerate(zip(epoch.tolist(), index.tolist(), strict=True)):
            own = View.of(images[row], 0 if images.shape[-1] == 1 else "reflect")
            for view in range(1, VIEWS):
                draws = Draws(seed, e, i, _FIRST_STREAM + view)
                result[row, view] = augmix(own, draws).pixels()
        return result

    def put(batch: Example) -> Example:
        image = batch["image"]
        views = tf.numpy_function(mix, [image, batch["epoch"], batch["index"]], tf.uint8, stateful=False)
        return {**batch, "image": tf.ensure_shape(views, (None, VIEWS, *image.shape[1:]))}

    return put
