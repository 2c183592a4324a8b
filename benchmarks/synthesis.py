"""Do made images help rare classes? A GAN's, and the honest control: as many repeated true ones.

python -m benchmarks.synthesis [--seeds 3] [--epochs 30] [--rare 3] [--count 150] [--steps N] [--out FILE]

The embedded sample with a long tail of ratio 100, as in `benchmarks.imbalance`: 1,000 images of the first
class, 10 of the last. Its `--rare` smallest classes (27, 16 and 10 images) get `--count` images more:

    plain     none
    repeated  their own images again, in turn
    made      images of the GAN of `pipelines.synthesize`, which learned from the same training images

All train as many steps by plain cross-entropy: ResNet-8, pad and crop, mirrored images; the epoch of the
best balanced accuracy on validation counts. A seed decides which images stay, both networks and the order.
The figures are the rare classes' mean F1 and recall on the test split (200 images a class) and the balanced
accuracy. A run takes about a minute of one core, `made` also the GAN's training. Runs that FILE (JSON) has
are not done again.
"""

import argparse
import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.imbalance import BATCH, PREPROCESS, RATIO, trained
from benchmarks.repeated import Results, repeat, table
from imgrec.data.pipeline import evaluation_dataset, steps_per_epoch
from imgrec.data.sources.dataset import Source, Split
from imgrec.data.sources.long_tail import long_tailed
from imgrec.data.sources.sample import load_sample
from imgrec.learning.imbalance import choose
from imgrec.metrics.single_label import summarize
from imgrec.synthesis import gan
from imgrec.synthesis.settings import Settings
from imgrec.tasks.multiclass import Multiclass

WAYS = ("plain", "repeated", "made")
COLUMNS = ("rare_f1", "rare_recall", "balanced")


def run(way: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train with the rare classes enlarged in one way; return the figures of the test split."""
    keras.backend.clear_session()
    source = long_tailed(load_sample(), RATIO, seed)
    counts = source.train.counts(len(source.classes))
    rare = np.argsort(counts, kind="stable")[: options.rare].tolist()
    extra = {
        "plain": {},
        "repeated": {label: _again(source.train, label, options.count) for label in rare},
        "made": {},
    }[way]
    if way == "made":
        settings = Settings(steps=options.steps, seed=seed)
        made = gan.train(source.train, PREPROCESS, len(counts), settings).generator
        extra = {label: gan.images(made, label, options.count, seed) for label in rare}
    enlarged = dataclasses.replace(source, train=_with(source.train, extra))
    recipe = choose("none", {}, counts, source.classes, "cross_entropy")
    steps = steps_per_epoch(len(source.train) + options.rare * options.count, BATCH)
    model, best = trained(enlarged, recipe, seed, options.epochs, steps=steps)
    return {**measure(model, source, rare), "best_epoch": best}


def _again(train: Split, label: int, count: int) -> np.ndarray:
    """Images of a class in turn, uint8 `[count, H, W, C]`."""
    members = np.flatnonzero(train.labels == label)
    assert train.images is not None
    return train.images[members[np.arange(count) % len(members)]]


def _with(train: Split, extra: dict[int, np.ndarray]) -> Split:
    """The split and more images of some classes."""
    assert train.images is not None
    images, labels, ids = [train.images], [train.labels], list(train.ids)
    for label, more in extra.items():
        images.append(more)
        labels.append(np.full(len(more), label, train.labels.dtype))
        ids += [f"extra:{label}/{number}" for number in range(len(more))]
    return Split(tuple(ids), np.concatenate(labels), np.concatenate(images))


def measure(model: keras.Model, source: Source, rare: list[int]) -> dict[str, Any]:
    """Return F1 and recall of the rare classes, their means, and the balanced accuracy."""
    test = source.test
    data = evaluation_dataset(test, PREPROCESS, Multiclass(source.classes).targets, 200)
    logits = model.predict(data, verbose=0)
    figures = summarize(logits, test.labels, source.classes)
    rows = [figures["per_class"][label] for label in rare]
    return {
        "rare_f1": float(np.mean([row["f1"] for row in rows])),
        "rare_recall": float(np.mean([row["recall"] for row in rows])),
        "balanced": figures["recall_macro"],
        "f1": {row["label"]: row["f1"] for row in rows},
    }


def plan(options: argparse.Namespace) -> Iterable[tuple[str, Any]]:
    """Name and action of every run; seed by seed, so that a part of them compares too."""
    for seed in range(options.seeds):
        for way in options.ways:
            yield f"{way}, seed {seed}", functools.partial(run, way, seed, options)


def gains(results: Results) -> str:
    """By how many points of rare F1 made images are better than nothing and than repeated ones, by seed."""
    lines = []
    for other in ("plain", "repeated"):
        pairs = [
            (result["rare_f1"], results[name.replace("made", other)]["rare_f1"])
            for name, result in results.items()
            if name.startswith("made") and name.replace("made", other) in results
        ]
        if pairs:
            each = [100 * (first - second) for first, second in pairs]
            listed = ", ".join(f"{value:+.2f}" for value in each)
            lines.append(f"made against {other:<9} {np.mean(each):+.2f}  ({listed})")
    return "\n".join(lines)


def main() -> None:
    """Do the runs that are missing, writing the file after each; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rare", type=int, default=3)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, metavar="WAY")
    parser.add_argument("--out", type=Path, default=Path("saved_models/synthesis.json"))
    options = parser.parse_args()
    settings = {name: getattr(options, name) for name in ("epochs", "rare", "count", "steps")}
    results = repeat(options.out, {**settings, "ratio": RATIO, "batch": BATCH}, plan(options))
    print(f"\nper cent, mean ± standard deviation over seeds\n{table(results, COLUMNS)}")
    print(f"\nmean F1 of the rare classes, points: mean (each seed)\n{gains(results)}")


if __name__ == "__main__":
    main()
