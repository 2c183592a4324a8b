"""A SavedModel folder `<name>.savedmodel/<version>/` in TensorFlow, as TensorFlow Serving takes it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.artefact import LOGITS, SCORES
from imgrec.engines.versions import newest, texts_in
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks, without_banners

PIXELS = "serving_default"
"""Signature of prepared pixels."""
BYTES = "bytes"
"""Signature of encoded images, and its input."""
BATCH = 32
"""Images that it takes at a time."""


class SavedModel:
    """An `Engine`; with `of_bytes`, a second way in."""

    batch = BATCH

    def __init__(self, path: Path) -> None:
        """Open the newest version in `path`.

        Raises:
            InputError: none is there, it is damaged, or it takes something else than pixels.
        """
        import_frameworks()
        import tensorflow as tf

        folder = newest(path)
        try:
            with without_banners():
                self._loaded = tf.saved_model.load(str(folder))
                self._answer = self._loaded.signatures[PIXELS]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, tf.errors.OpError) as error:
            raise InputError(f"{folder}: not a SavedModel that can be run here: {error}") from None
        (self._input, taken), *others = self._answer.structured_input_signature[1].items()
        outputs = self._answer.structured_outputs
        named = [name for name in (SCORES, LOGITS) if name in outputs]
        if others or taken.dtype != tf.uint8 or taken.shape.rank != 4 or not named:
            raise InputError(
                f"{folder}: takes {taken.dtype.name} {taken.shape} and gives {', '.join(outputs)}, "
                f"expected uint8 [N, H, W, 3] and {SCORES}"
            )
        self._output = named[0]
        self.image, self.outputs = tuple(taken.shape[1:]), tuple(outputs[self._output].shape[1:])
        self.texts = texts_in(folder / "assets")
        self.scored = self._output == SCORES

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 `[N, *outputs]` of uint8 `[N, H, W, C]`, N ≥ 1; grey images are repeated."""
        import tensorflow as tf

        if images.shape[-1] == 1 and self.image[-1] == 3:
            images = np.repeat(images, 3, axis=-1)
        parts: list[Any] = []
        for start in range(0, len(images), BATCH):
            given = {self._input: tf.constant(images[start : start + BATCH])}
            parts.append(self._answer(**given)[self._output].numpy())
        return np.concatenate(parts)

    def of_bytes(self, encoded: list[bytes]) -> NDArray[np.float32]:
        """Return the scores of encoded JPEG and PNG files, prepared in the graph.

        Raises:
            InputError: the folder has no such signature.
        """
        import tensorflow as tf

        if BYTES not in self._loaded.signatures:
            raise InputError("no signature of bytes: the run's adaptive steps have no form in a graph")
        return self._loaded.signatures[BYTES](**{BYTES: tf.constant(encoded)})[self._output].numpy()
