"""Test images as clients have them: encoded bytes, prepared by what a file says of itself."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from imgrec.data.preprocess import Preprocess, read_file
from imgrec.data.sources.dataset import Split
from imgrec.processors import cores


class Encoded:
    """The bytes of a split's images: its files, or what is in memory as PNG, which loses nothing."""

    def __init__(self, split: Split) -> None:
        """Take the images of `split`; its files are read each time, so that they need not fit into memory."""
        self._split = split
        self._prepared: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._split)

    def bytes_of(self, index: int) -> bytes:
        """Return the bytes of an image.

        Raises:
            InputError: its file cannot be read.
        """
        if self._split.images is None:
            return read_file((self._split.paths or ())[index])
        pixels = self._split.images[index]
        if pixels.shape[-1] == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(".png", pixels)
        if not done:
            raise RuntimeError(f"OpenCV could not encode an image of shape {pixels.shape} as PNG")
        return encoded.tobytes()

    def pixels(self, preprocess: Preprocess) -> np.ndarray:
        """Return all images decoded and prepared, uint8 `[N, H, W, C]`; once for files of one preprocessing.

        Raises:
            InputError: as `Preprocess.on_bytes`.
        """
        text = preprocess.to_json()
        if text not in self._prepared:
            names = self._split.ids
            images = self._of_all(lambda i: preprocess.on_bytes(self.bytes_of(i), names[i]))
            self._prepared = {text: np.stack(images)}
        return self._prepared[text]

    def _of_all(self, read: Callable[[int], np.ndarray]) -> list[np.ndarray]:
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(read, range(len(self))))
