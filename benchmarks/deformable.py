"""What does a deformable last stage bring, and what does it cost? A ResNet with and without it.

python -m benchmarks.deformable [--model resnet8] [--epochs 5] [--seeds 3] [--out FILE.json]

Both train on the embedded sample's 10,000 images by one recipe: pad and crop, mirror, SGD with a cosine.
Accuracy is that on the 2,000 test images. The milliseconds of a training step of 128 images are taken in
turns, so that a machine whose speed drifts does not decide. A run that is already in FILE.json is not done
again, so an interrupted comparison goes on where it was.
"""

import argparse
import functools
from pathlib import Path

import keras
import numpy as np

from benchmarks.paired import compare
from benchmarks.repeated import repeat, table
from imgrec.config import AugmentConfig, DataConfig, OptimConfig
from imgrec.data.pipeline import Feed, evaluation_dataset, steps_per_epoch, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.load import Source, load_source
from imgrec.models import build_model, info
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.fit import fit

SIDE, BATCH = 28, 128


def run(source: Source, model_name: str, deformable: str, seed: int, epochs: int) -> dict[str, float]:
    """Train one network; return its accuracy on the test images, a share."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    preprocess, classes = Preprocess(size=(SIDE, SIDE), colour="grey"), len(source.classes)
    model = build_model(model_name, (SIDE, SIDE, 1), classes, deformable=deformable)
    steps = steps_per_epoch(len(source.train), BATCH)
    augment = AugmentConfig(crop="pad")
    feed = Feed(preprocess, Multiclass(source.classes).targets, augment, BATCH, seed)
    train = training_dataset(source.train, feed, steps=epochs * steps)
    validation = evaluation_dataset(source.val, preprocess, feed.targets, BATCH)
    fit(model, train, validation, optim=OptimConfig.plain(epochs=epochs), steps_per_epoch=steps)
    images, labels = source.test.images, source.test.labels
    assert images is not None  # the embedded sample is in memory
    logits = model.predict(images.astype("float32"), batch_size=200, verbose=0)
    return {"test": float((logits.argmax(axis=1) == labels).mean())}


def time_steps(model_name: str, last: str) -> None:
    """Print the milliseconds of a training step of each network, taken in turns."""
    draw = np.random.default_rng(0)
    pixels = draw.uniform(0, 255, (BATCH, SIDE, SIDE, 1)).astype("float32")
    targets = keras.utils.to_categorical(draw.integers(0, 10, BATCH), 10)
    models = [build_model(model_name, (SIDE, SIDE, 1), 10, deformable=stage) for stage in ("none", last)]
    for model in models:
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    plain, bent = (functools.partial(model.train_on_batch, pixels, targets) for model in models)
    ratio = compare(plain, bent, rounds=25)
    print(
        f"\na step of {BATCH} images: plain {1000 * ratio.first:.0f} ms, {last} deformable "
        f"{1000 * ratio.second:.0f} ms: {ratio.wall:.2f} × (processor time: {ratio.cpu:.2f} ×); parameters "
        f"{models[0].count_params():,} and {models[1].count_params():,}"
    )


def main() -> None:
    """Do the runs that are missing, writing the file after each; print the table and what a step takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("saved_models/deformable.json"))
    options = parser.parse_args()
    last = f"stage{info(options.model).stages}"
    source = load_source(DataConfig(), seed=0)
    # Seed by seed, so that a part of it compares too.
    runs = [
        (f"{name}, seed {seed}", functools.partial(run, source, options.model, stage, seed, options.epochs))
        for seed in range(options.seeds)
        for name, stage in (("plain", "none"), (f"deformable {last}", last))
    ]
    results = repeat(options.out, {"model": options.model, "epochs": options.epochs}, runs)
    print(f"\naccuracy in per cent, mean ± standard deviation over seeds\n{table(results, ('test',))}")
    time_steps(options.model, last)


if __name__ == "__main__":
    main()
