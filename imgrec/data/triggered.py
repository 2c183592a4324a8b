"""Which adaptive steps the images of a split trigger."""

from concurrent.futures import ThreadPoolExecutor

from imgrec.data.decode import decode
from imgrec.data.preprocess import Preprocess, read_file
from imgrec.data.sources.dataset import Split
from imgrec.processors import cores


def triggered(split: Split, preprocess: Preprocess) -> list[tuple[str, ...]]:
    """Return the names of the steps that fire on each image, in the split's order.

    Raises:
        InputError: as `Preprocess.on_file`.
    """

    def fired(index: int) -> tuple[str, ...]:
        if split.images is not None:
            return preprocess.whole_and_fired(split.images[index])[1]
        path = (split.paths or ())[index]
        return preprocess.whole_and_fired(decode(read_file(path), preprocess.max_pixels, path))[1]

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(fired, range(len(split))))
