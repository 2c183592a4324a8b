"""The embedded sample: 14,000 images of Fashion-MNIST, 10,000 / 2,000 / 2,000, equal per class.

Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017 (arXiv 1708.07747), MIT licence, see
`assets/LICENSE-fashion-mnist.txt`. `benchmarks/build_sample.py` makes the file from the original set.
"""

import hashlib
import lzma
from pathlib import Path

import numpy as np

from imgrec.data.sources.dataset import Source, Split, fingerprint
from imgrec.errors import InputError

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
COUNTS = {"train": 10_000, "val": 2_000, "test": 2_000}
ASSET = Path(__file__).parents[1] / "assets" / "fashion_mnist_sample.xz"
SHA256 = "3e7c38675784c4d58b7055e911f497faa86a189ebe0ef0820520828b79770b9c"


def load_sample() -> Source:
    """Return the embedded sample: grey, uint8 `[N, 28, 28, 1]`, ids such as `train-00123`.

    The number in an id is the image's index in the original set; validation images come from the
    original training set and are named `train-…` as well.

    Raises:
        InputError: the packaged file is missing or damaged.
    """
    if not ASSET.is_file() or hashlib.sha256(ASSET.read_bytes()).hexdigest() != SHA256:
        raise InputError(f"{ASSET}: missing or not the file that was shipped; install imgrec again")
    data = lzma.decompress(ASSET.read_bytes())
    total = sum(COUNTS.values())
    index = np.frombuffer(data, "<u4", count=total)
    labels = np.frombuffer(data, np.uint8, count=total, offset=4 * total)
    images = np.frombuffer(data, np.uint8, offset=5 * total).reshape(total, SIDE, SIDE)
    bounds = np.cumsum(list(COUNTS.values()))[:-1]
    parts = zip(COUNTS, *(np.split(a, bounds) for a in (index, labels, images)), strict=True)
    splits = [
        Split(
            ids=tuple(f"{'test' if name == 'test' else 'train'}-{i:05d}" for i in index),
            labels=labels.astype(np.int32),
            images=images[..., np.newaxis],
        )
        for name, index, labels, images in parts
    ]
    train, val, test = splits
    return Source(CLASSES, "grey", train, val, test, fingerprint(CLASSES, splits), "sample", SIDE)
