"""What augmentation costs: batches of the embedded sample with it, against bare tf.data without.

python -m benchmarks.input [BATCHES]      (default: 200 of 128 images a round)
"""

import sys
from collections.abc import Callable

import tensorflow as tf

from benchmarks.paired import compare
from imgrec.config import AugmentConfig, DataConfig
from imgrec.data.pipeline import training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources import Split, load_source

BATCH = 128
RECIPES = {
    "pad-and-crop + flip": AugmentConfig(crop="pad"),
    "the same + Mixup/CutMix": AugmentConfig(crop="pad", mixup=0.2, cutmix=1.0),
}


def bare(split: Split, classes: int, steps: int) -> tf.data.Dataset:
    """Shuffle, batch and cast, nothing else, over all steps of a round."""
    labels = tf.one_hot(split.labels, classes)
    data = tf.data.Dataset.from_tensor_slices((split.images, labels)).shuffle(len(split), seed=0).repeat()
    batches = data.batch(BATCH, drop_remainder=True).map(lambda x, y: (tf.cast(x, tf.float32), y))
    return batches.take(steps).prefetch(tf.data.AUTOTUNE)


def drain(dataset: tf.data.Dataset) -> Callable[[], None]:
    """Return a function that takes every batch of `dataset` and does nothing with it."""

    def run() -> None:
        for _ in dataset:
            pass

    return run


def main() -> None:
    """Print one row a recipe."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    source = load_source(DataConfig(), seed=0)
    preprocess = Preprocess(size=(28, 28), colour="grey")
    plain = bare(source.train, len(source.classes), steps)
    for name, augment in RECIPES.items():
        ours = training_dataset(
            source.train, preprocess, len(source.classes), augment, BATCH, seed=0, steps=steps
        )
        ratio = compare(drain(ours), drain(plain), rounds=7, warmup=1)
        rate = steps * BATCH
        print(f"{name}: {rate / ratio.first:,.0f} img/s, bare tf.data {rate / ratio.second:,.0f} img/s")
        print(f"  {ratio.wall:.2f} × the speed of bare tf.data")


if __name__ == "__main__":
    main()
