"""What augmentation costs, beside bare tf.data, KerasCV's layers, Keras's layers and timm's loader.

python -m benchmarks.input [--images 512] [--rounds 3] [--timm PYTHON] [--only WORD] [--engines]

At 224 px from generated JPEG files of 500 × 375 on all cores, and at 28 px from the embedded sample. The
sides take turns within one run; of each figure the median of the rounds is printed, in wall time and in
processor time, which other processes disturb less. timm is measured where `--timm` names a Python with it.

`--engines` compares the two ways to pad, crop, mirror and erase instead: operations on whole batches, and
the line of operations on each image, at 28 and 32 px from memory and at 224 px from files.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import tensorflow as tf

from benchmarks.input_peers import CLASSES, SIDE, bare, keras_layers, kerascv
from benchmarks.paired import seconds
from imgrec.config import AugmentConfig, DataConfig
from imgrec.data.augment.batch import Example, flip_left_right, pad_and_crop, random_erasing
from imgrec.data.cache import Cache
from imgrec.data.loading import kept_tensor, reader
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import Feed, training_dataset, training_order
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.load import load_source
from imgrec.processors import cores
from imgrec.tasks.multiclass import Multiclass

BATCH = 64
# A side takes this share of the images, lest the slow ones decide how long all of it takes.
SHARES = {"KerasCV": 0.25, "Keras": 0.05}
TARGETS = Multiclass(tuple(map(str, range(CLASSES)))).targets
MIXED = {"mixup": 0.2, "cutmix": 1.0}
FULL = "resized_crop|flip|randaugment(2, 9)"
Side = Callable[[int], tuple[float, float]]


def write_images(folder: Path, count: int) -> list[str]:
    """Write JPEG files of 500 × 375 pixels, quality 90, with detail as in photographs (a 1/f spectrum)."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(np.fft.fftfreq(375), np.fft.rfftfreq(500), indexing="ij")
    strength = 1 / np.maximum(np.hypot(y, x), 1 / 500)
    paths = []
    for number in range(count):
        noise = np.fft.rfft2(rng.standard_normal((3, 375, 500)))
        planes = np.fft.irfft2(noise * strength, (375, 500))
        # Colours differ less than lightness does.
        planes = planes[:1] + 0.4 * planes
        pixels = np.clip(127 + 55 * planes / planes.std(), 0, 255).astype(np.uint8).transpose(1, 2, 0)
        path = folder / str(number % CLASSES) / f"{number:05d}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        paths.append(str(path))
    return paths


def drain(build: Callable[[int], tf.data.Dataset]) -> Side:
    """Return a side: steps → the wall and processor seconds that taking so many batches took."""

    traced = functools.cache(build)  # once, before the clock starts: KerasCV's layers take many seconds

    def run(steps: int) -> tuple[float, float]:
        dataset = traced(steps)

        def take() -> None:
            for _ in dataset:
                pass

        return seconds(take)

    return run


def ours(split: Split, preprocess: Preprocess, augment: AugmentConfig) -> Side:
    """Return the side of `training_dataset`."""

    def build(steps: int) -> tf.data.Dataset:
        return training_dataset(split, Feed(preprocess, TARGETS, augment, BATCH, seed=0), steps=steps)

    return drain(build)


def in_batches(split: Split, preprocess: Preprocess, erasing: float) -> Side:
    """Return the side that pads and crops, mirrors and, as often as `erasing` says, erases whole batches."""
    mode: Literal["zeros", "reflect"] = "zeros" if preprocess.colour == "grey" else "reflect"
    operations = [pad_and_crop(0, mode=mode), flip_left_right(0)]
    operations += [random_erasing(0, erasing)] if erasing else []
    labels = tf.one_hot(split.labels, CLASSES)

    def build(steps: int) -> tf.data.Dataset:
        data = training_order(order_of(split.labels, "natural", 0), BATCH, steps=steps)
        kept = kept_tensor(split, preprocess, Cache("none"))
        if kept is not None:
            data = data.map(
                lambda batch: {**batch, "image": tf.gather(kept, batch["index"])}, tf.data.AUTOTUNE
            )
        else:
            read = reader(split, preprocess)

            def load(example: Example) -> Example:
                image = tf.numpy_function(read, [example["index"]], tf.uint8)
                return {**example, "image": tf.ensure_shape(image, preprocess.shape)}

            data = data.unbatch().map(load, cores()).batch(BATCH, drop_remainder=True)
        for operation in operations:
            data = data.map(operation, tf.data.AUTOTUNE)
        pairs = data.map(lambda b: (tf.cast(b["image"], tf.float32), tf.gather(labels, b["index"])))
        return pairs.prefetch(tf.data.AUTOTUNE)

    return drain(build)


def timm(python: str, folder: Path) -> Side:
    """Start timm's loader in its own Python and return its side."""
    script = Path(__file__).with_name("timm_loader.py")
    command = [python, str(script), str(folder), str(BATCH), str(SIDE), str(os.cpu_count())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    send, answer = process.stdin, process.stdout
    if answer.readline().strip() != "ready":
        raise SystemExit(f"{python}: timm's loader does not start")

    def run(steps: int) -> tuple[float, float]:
        print(steps, file=send, flush=True)
        wall, processor = answer.readline().split()
        return float(wall), float(processor)

    return run


def measure(title: str, sides: dict[str, Side], images: int, rounds: int) -> None:
    """Let the sides take turns and print a row for each; the ratio is that of the first side to it."""
    steps = {name: max(1, round(images * SHARES.get(name, 1) / BATCH)) for name in sides}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            taken = side(steps[name])
            if turn:  # the first round warms up
                found[name].append((taken[0] / steps[name] / BATCH, taken[1] / steps[name] / BATCH))
    print(f"\n{title}")
    first = next(iter(sides))
    for name, taken in found.items():
        wall, processor = (statistics.median(t[k] for t in taken) for k in (0, 1))
        ratios = [
            statistics.median(b[k] / a[k] for a, b in zip(found[first], taken, strict=True)) for k in (0, 1)
        ]
        print(
            f"  {name:28s} {1 / wall:7,.0f} img/s, {1000 * processor:6.2f} ms of a core an image; "
            f"{first} is {ratios[0]:5.2f} × as fast (processor time: {ratios[1]:5.2f} ×)",
            flush=True,
        )


def of_files(folder: Path, images: int) -> Split:
    """Write JPEG files and return the split of them."""
    paths = tuple(write_images(folder, images))
    labels = np.array([int(Path(path).parent.name) for path in paths], np.int32)
    return Split(paths, labels, paths=paths)


def large(folder: Path, images: int, rounds: int, timm_python: str | None) -> None:
    """Measure at 224 px from files."""
    split = of_files(folder, images)
    paths = list(split.ids)
    preprocess = Preprocess((SIDE, SIDE))
    plain = {
        "crop + flip": ours(split, preprocess, AugmentConfig(crop="random_resized")),
        "bare tf.data": drain(lambda steps: bare(paths, BATCH, steps)),
    }
    # Pipelines take a second or so to fill, which is not what an epoch costs.
    measure(f"{SIDE} px from JPEG: crop + flip", plain, 3 * images, rounds)
    full = {
        "full recipe": ours(split, preprocess, AugmentConfig(augment=FULL, **MIXED)),
        "KerasCV": drain(lambda steps: kerascv(paths, BATCH, steps)),
        "Keras": drain(lambda steps: keras_layers(paths, BATCH, steps)),
    }
    if timm_python:
        full["timm"] = timm(timm_python, folder)
    measure(f"{SIDE} px from JPEG: crop + flip + RandAugment + Mixup/CutMix", full, 3 * images, rounds)


def small(images: int, rounds: int) -> None:
    """Measure at 28 px from memory."""
    source = load_source(DataConfig(), seed=0)
    preprocess = Preprocess((28, 28), "grey")
    pixels, labels = source.train.images, tf.one_hot(source.train.labels, CLASSES)

    def plain(steps: int) -> tf.data.Dataset:
        data = tf.data.Dataset.from_tensor_slices((pixels, labels)).shuffle(10_000, seed=0).repeat()
        batches = data.batch(BATCH, drop_remainder=True).map(lambda x, y: (tf.cast(x, tf.float32), y))
        return batches.take(steps).prefetch(tf.data.AUTOTUNE)

    sides = {
        "crop + flip": ours(source.train, preprocess, AugmentConfig(crop="pad")),
        "bare tf.data": drain(plain),
        "the same + Mixup/CutMix": ours(source.train, preprocess, AugmentConfig(crop="pad", **MIXED)),
        "as a line + RandAugment": ours(
            source.train, preprocess, AugmentConfig(augment="crop(pad=4)|flip|randaugment(2, 9)")
        ),
    }
    measure("28 px from memory", sides, images, rounds)


def engines(folder: Path, images: int, rounds: int) -> None:
    """Measure batch operations and the line of operations at the same work, with and without erasing."""
    sample = load_source(DataConfig(), seed=0).train
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (len(sample), 32, 32, 3), np.uint8)
    arrays = Split(sample.ids, sample.labels, images=pixels)
    grey, colour, large = (Preprocess((28, 28), "grey"), Preprocess((32, 32)), Preprocess((SIDE, SIDE)))
    for name, preprocess, split, count in (
        ("28 px, grey, from memory", grey, sample, 80 * images),
        ("32 px from memory", colour, arrays, 80 * images),
        (f"{SIDE} px from JPEG", large, of_files(folder, images), 3 * images),
    ):
        for erasing in (0.0, 0.5):
            line = f"crop(pad={round(preprocess.size[0] / 8)})|flip" + (
                f"|erasing({erasing})" if erasing else ""
            )
            sides = {
                "batches": in_batches(split, preprocess, erasing),
                "each image": ours(split, preprocess, AugmentConfig(augment=line)),
            }
            measure(f"{name}: {line}", sides, count, rounds)


def main() -> None:
    """Measure what the flags ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="images a side and round at 224 px")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timm", metavar="PYTHON", help="a Python with timm, to measure its loader too")
    parser.add_argument("--only", choices=("large", "small"))
    parser.add_argument("--engines", action="store_true", help="batch operations against those on each image")
    flags = parser.parse_args()
    print(f"{os.cpu_count()} cores; load when started: {os.getloadavg()[0]:.1f}; {time.strftime('%F %R')}")
    if flags.engines:
        with tempfile.TemporaryDirectory() as folder:
            engines(Path(folder), flags.images, flags.rounds)
        return
    if flags.only != "small":
        with tempfile.TemporaryDirectory() as folder:
            large(Path(folder), flags.images, flags.rounds, flags.timm)
    if flags.only != "large":
        small(20 * flags.images, flags.rounds)


if __name__ == "__main__":
    sys.exit(main())
