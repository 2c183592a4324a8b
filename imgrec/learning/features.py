"""Features of a frozen backbone, computed once and kept on disk: the head then trains in seconds.

A mirrored image is a second view with features of its own. The batches have the order and the mirrored
images of the training they stand for, so that the head learns what it would learn behind the whole model.
"""

import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from imgrec import runtime
from imgrec.caches import cache_folder
from imgrec.data.augment.batch import Example, flipped
from imgrec.data.pipeline import Feed, Targets, evaluation_dataset, training_order
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.files import write_file
from imgrec.models import build_model, info
from imgrec.models.pretrained import load_pretrained

EXTRACTION_BATCH = 32
JUDGE = "efficientnet_lite0"
"""The network whose features, learned on ImageNet, labels are judged by."""


@dataclass(frozen=True)
class Features:
    """What a backbone says of every image of a split.

    views: float32 `[V, N, D]`: the images as they are and, where V is 2, mirrored.
    labels: of the N images, as `Split.labels` has them.
    """

    views: np.ndarray
    labels: np.ndarray

    def training_dataset(self, feed: Feed, *, steps: int, start_step: int = 0) -> tf.data.Dataset:
        """Return batches of (features float32 `[B, D]`, targets float32 `[B, K]`).

        Image for image those of `data.pipeline.training_dataset` with the same `feed`, without crops or
        mixing, and with its flips where there are two views.
        """
        count, size = self.views.shape[1:]
        sequence = feed.order(self.labels)
        with tf.device("CPU"):
            # The mirrored view of an image stands `count` rows below it.
            rows = tf.constant(self.views.reshape(-1, size))
            labels = tf.constant(self.labels)

        def gather(example: Example) -> tuple[tf.Tensor, tf.Tensor]:
            row = example["index"]
            if len(self.views) == 2:
                row += tf.cast(flipped(feed.seed, example), tf.int64) * count
            return tf.gather(rows, row), feed.targets(tf.gather(labels, example["index"]))

        batch = min(feed.batch_size, sequence.size)
        order = training_order(sequence, batch, steps=steps, start_step=start_step)
        return order.map(gather).prefetch(tf.data.AUTOTUNE)

    def evaluation_dataset(
        self, targets: Targets, batch_size: int, images: int | None = None
    ) -> tf.data.Dataset:
        """Return the features of all or the first `images` once, in order, with targets as above."""
        with tf.device("CPU"):
            pairs = (self.views[0][:images], targets(tf.constant(self.labels[:images])))
        return tf.data.Dataset.from_tensor_slices(pairs).batch(batch_size)


def cached_features(
    backbone: keras.Model,
    splits: dict[str, Split],
    preprocess: Preprocess,
    fingerprint: str,
    mirrored: frozenset[str] = frozenset(),
    what: str = "features",
) -> dict[str, Features]:
    """Return the features of every split, read from the cache folder or computed and written there.

    They are found again only for the same data, preprocessing, weights and precision.

    Args:
        backbone: pixels float32 `[B, H, W, C]`, 0…255, to features `[B, D]`; called in inference.
        splits: the images, by name.
        preprocess: how they become pixels.
        fingerprint: `Source.fingerprint` of the set that the splits are of.
        mirrored: names of the splits that also need a mirrored view.
        what: the word for what it says.
    """
    digest = _digest(backbone, preprocess, fingerprint)
    found = {}
    for name, split in splits.items():
        views = []
        for view in ("plain", "mirrored")[: 2 if name in mirrored else 1]:
            path = cache_folder("features") / f"{digest}-{name}-{view}.npy"
            shape = (len(split), backbone.output_shape[-1])
            said = f"{what} of {{}} {name} images ({view})"
            held = _read(path, shape)
            if held is None:
                held = _compute(backbone, split, preprocess, said, view == "mirrored")
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(path, partial(np.save, arr=held))
            else:
                print(f"{said.format(f'{len(split):,}')}: read from {path}", flush=True)
            views.append(held)
        found[name] = Features(np.stack(views), split.labels)
    return found


def judging_features(source: Source) -> np.ndarray:
    """Return what `JUDGE` sees in the images of the splits in order, float32 `[N, 1280]` of length 3.

    Raises:
        InputError: the weights are not installed.
    """
    side = info(JUDGE).image_size
    model = build_model(JUDGE, input_shape=(side, side, 3), num_classes=1000)
    load_pretrained(model, "imagenet")
    backbone = keras.Model(model.inputs, model.get_layer("features").output, name=f"{JUDGE}_backbone")
    preprocess = Preprocess(size=(side, side), colour="rgb", bits=source.bits)
    held = cached_features(backbone, source.splits, preprocess, source.fingerprint)
    features = np.concatenate([held[name].views[0] for name in source.splits])
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6) * 3


def _digest(backbone: keras.Model, preprocess: Preprocess, fingerprint: str) -> str:
    """Return the sha256 of all that decides the features, shortened to 32 hex digits."""
    facts = {
        "data": fingerprint,
        "preprocess": asdict(preprocess),
        "layers": [layer.get_config() for layer in backbone.layers],
        "precision": keras.config.dtype_policy().name,
        "versions": {name: v for name, v in runtime.versions().items() if name != "python"},
    }
    total = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for weight in backbone.get_weights():
        total.update(repr(weight.shape).encode())
        total.update(np.ascontiguousarray(weight).tobytes())
    return total.hexdigest()[:32]


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the array of a cache file; None where there is none, or not a whole one."""
    try:
        held = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return held if held.shape == shape and held.dtype == np.float32 else None


def _compute(
    backbone: keras.Model, split: Split, preprocess: Preprocess, said: str, mirrored: bool
) -> np.ndarray:
    """Run the backbone over a split and say how far it is; `said` has a place for the number of images."""
    begun, done, parts = time.perf_counter(), 0, []
    live = sys.stdout.isatty()
    line = ""
    for images, _ in evaluation_dataset(split, preprocess, tf.identity, batch_size=EXTRACTION_BATCH):
        pixels = images[:, :, ::-1] if mirrored else images
        parts.append(np.asarray(backbone.predict_on_batch(pixels), "float32"))
        done += len(parts[-1])
        seconds = time.perf_counter() - begun
        rate = f"{done / seconds:,.0f} img/s, {seconds:.0f} s"
        line = f"{said.format(f'{done:,}/{len(split):,}')}: {rate}"
        if live:
            print(f"\r\x1b[2K{line}", end="", flush=True)
    print(("\r\x1b[2K" if live else "") + line, flush=True)
    return np.concatenate(parts)
