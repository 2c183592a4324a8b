"""Does occlusion-aware attention help where half of an image is hidden? ResNet-20 with it, plain, with CBAM.

python -m benchmarks.occlusion [--epochs 15] [--seeds 3] [--full-size] [--without-erasing] [--out FILE.json]

All train on the embedded sample's 10,000 images by one recipe: pad and crop, mirror, random erasing of
up to 60 % of 70 % of the images, SGD with a cosine. The occlusion-aware network alone also learns where
erasing struck (mask loss, weight 1). `stem_pool=true` halves the images after the stem, which makes a
run four times shorter; --full-size leaves it out. Each trained network answers for the 2,000 test images
as they are and with exactly half of their pixels hidden, the same pixels for every network:

- blocks: 8 of the 4×4 blocks, at random (the case that the comparison is about, with noise);
- band: a band over the whole width or height, at a random place.

Hidden pixels are uniform noise, as in training, or a flat grey that training never showed. A run that
is already in FILE.json is not done again, so an interrupted comparison goes on where it was.
"""

import argparse
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.repeated import repeat, table
from imgrec.config import AugmentConfig, DataConfig, OptimConfig
from imgrec.data.pipeline import VISIBILITY, Feed, evaluation_dataset, steps_per_epoch, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.load import Source, load_source
from imgrec.layers.occlusion import mask_of
from imgrec.learning.mask_loss import MaskSupervised, visible_share
from imgrec.models import build_model
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.fit import Phase, fit_phases

SIDE, GRID, GREY = 28, 4, 128
CASES = ("blocks, noise", "band, noise", "blocks, grey", "band, grey")
MASK_LOSS = 1.0


def hide(images: np.ndarray, case: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Hide half of every image.

    Args:
        images: uint8 `[N, 28, 28, 1]`.
        case: one of `CASES`.
        seed: of the hidden places and the noise.

    Returns:
        The images, and bool `[N, 28, 28, 1]`, true where hidden: 392 pixels of every image.
    """
    shape, _, fill = case.partition(", ")
    draw = np.random.default_rng(seed)
    hidden = np.stack([_blocks(draw) if shape == "blocks" else _band(draw) for _ in images])[..., None]
    noise = draw.integers(0, 256, images.shape, np.uint8)
    return np.where(hidden, noise if fill == "noise" else np.uint8(GREY), images), hidden


def _blocks(draw: np.random.Generator) -> np.ndarray:
    chosen = draw.permutation(GRID * GRID) < GRID * GRID // 2
    return chosen.reshape(GRID, GRID).repeat(SIDE // GRID, 0).repeat(SIDE // GRID, 1)


def _band(draw: np.random.Generator) -> np.ndarray:
    hidden = np.zeros((SIDE, SIDE), bool)
    begin = draw.integers(0, SIDE // 2 + 1)
    hidden[begin : begin + SIDE // 2] = True
    return hidden if draw.random() < 0.5 else hidden.T


def run(source: Source, attention: str, erasing: bool, seed: int, epochs: int, pool: bool) -> dict[str, Any]:
    """Train one network; return its accuracy on every case, and what its mask says."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    preprocess, classes = Preprocess(size=(SIDE, SIDE), colour="grey"), len(source.classes)
    model = build_model("resnet20", (SIDE, SIDE, 1), classes, attention=attention, stem_pool=pool)
    optim, supervised = OptimConfig.plain(epochs=epochs), attention == "occlusion" and erasing
    augment = AugmentConfig(crop="pad", erasing=0.7 if erasing else 0.0, erasing_area=0.6)
    steps = steps_per_epoch(len(source.train), optim.batch_size)
    batch, needs = int(optim.batch_size), frozenset({VISIBILITY} if supervised else ())
    feed = Feed(preprocess, Multiclass(source.classes).targets, augment, batch, seed, needs=needs)
    train = training_dataset(source.train, feed, steps=epochs * steps)
    validation = evaluation_dataset(source.val, preprocess, feed.targets, batch)
    part = MaskSupervised(model, MASK_LOSS) if supervised else None
    fitted = fit_phases(
        model, [Phase(train, validation, epochs, part=part)], optim=optim, steps_per_epoch=steps
    )
    return {**measure(model, source, supervised), "best_epoch": fitted.best_epoch}


def measure(model: keras.Model, source: Source, masked: bool) -> dict[str, Any]:
    """Return accuracies on the test images; with `masked` also the mask's mean where visible and hidden."""
    images, labels = source.test.images, source.test.labels
    assert images is not None  # the embedded sample is in memory
    result: dict[str, Any] = {"clean": _accuracy(model, images, labels)}
    watcher = keras.Model(model.inputs, mask_of(model)) if masked else None
    for case in CASES:
        changed, hidden = hide(images, case)
        result[case] = _accuracy(model, changed, labels)
        if watcher:
            mask = watcher.predict(changed.astype("float32"), batch_size=200, verbose=0)
            share = keras.ops.convert_to_numpy(visible_share(~hidden, mask.shape[1:3]))
            result[f"mask, {case}"] = {
                "visible": float(mask[share > 0.5].mean()),
                "hidden": float(mask[share < 0.5].mean()),
            }
    return result


def _accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    logits = model.predict(images.astype("float32"), batch_size=200, verbose=0)
    return float((logits.argmax(axis=1) == labels).mean())


def plan(seeds: int, without_erasing: bool) -> Iterable[tuple[str, bool, int]]:
    """Attention, erasing and seed of every run; seed by seed, so that a part of it compares too."""
    for erasing in (True, False) if without_erasing else (True,):
        for seed in range(seeds):
            for attention in ("none", "cbam", "occlusion") if erasing else ("none", "cbam"):
                yield attention, erasing, seed


def main() -> None:
    """Do the runs that are missing, writing the file after each; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--full-size", action="store_true", help="no pooling after the stem")
    parser.add_argument("--without-erasing", action="store_true", help="also plain and CBAM without erasing")
    parser.add_argument("--out", type=Path, default=Path("saved_models/occlusion.json"))
    options = parser.parse_args()
    pool = not options.full_size
    source = load_source(DataConfig(), seed=0)
    runs = [
        (
            f"{attention}{'' if erasing else ', no erasing'}, seed {seed}",
            functools.partial(run, source, attention, erasing, seed, options.epochs, pool),
        )
        for attention, erasing, seed in plan(options.seeds, options.without_erasing)
    ]
    results = repeat(options.out, {"epochs": options.epochs, "stem_pool": pool}, runs)
    print(
        f"\naccuracy in per cent, mean ± standard deviation over seeds\n{table(results, ('clean', *CASES))}"
    )


if __name__ == "__main__":
    main()
