"""What helps on a long tail? Every recipe of --imbalance on the embedded sample, cut to a ratio of 100.

python -m benchmarks.imbalance [--seeds 3] [--epochs 30] [--recipes none logit …] [--out FILE.json]

The training images of class c are 1,000 · 100^(−c/9) (Cui et al., 2019, arXiv 1901.05555): 1,000 of the
first class, 10 of the last, 2,478 in all. Validation, by which the epoch is chosen, and test are even, 2,000
images each; for every recipe, plain cross-entropy included, the epoch of the best balanced accuracy counts.
All train as many steps on as many images: ResNet-8, pad and crop, mirrored images, SGD with a cosine, hard
labels. A seed decides which images stay, the weights and the order; recipes are compared under the same
seeds. A run takes about a minute of one core.

The figures are accuracy over all classes (the test split is even, so it is the balanced accuracy) and over
those of the head, the middle and the tail. A run that is already in FILE.json is not done again.
"""

import argparse
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras

from benchmarks.repeated import Results, repeat, table
from imgrec.config import Config
from imgrec.data.cache import Cache
from imgrec.data.pipeline import evaluation_dataset, steps_per_epoch
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.data.sources.long_tail import long_tailed
from imgrec.data.sources.sample import load_sample
from imgrec.learning import methods
from imgrec.learning.imbalance import RECIPES, Balance, choose
from imgrec.learning.session import Session
from imgrec.metrics.single_label import summarize
from imgrec.models import build_model
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.fit import Goal, fit_phases

RATIO, BATCH = 100.0, 64
PREPROCESS = Preprocess(size=(28, 28), colour="grey")
MIXED = " + Mixup"
"""Ends the name of a recipe that is also tried with Mixup (α = 0.2)."""
NAMES = (*RECIPES, f"none{MIXED}", f"logit{MIXED}")
COLUMNS = ("balanced", "head", "medium", "tail")


def run(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train by the recipe `name`; return its accuracies on the test split."""
    keras.backend.clear_session()
    source = long_tailed(load_sample(), RATIO, seed)
    counts = source.train.counts(len(source.classes)).tolist()
    recipe = choose(name.removesuffix(MIXED), {}, counts, source.classes, "cross_entropy")
    model, best = trained(source, recipe, seed, epochs, mixup=0.2 if name.endswith(MIXED) else 0.0)
    return {**measure(model, source), "best_epoch": best}


def trained(
    source: Source, recipe: Balance, seed: int, epochs: int, mixup: float = 0.0, steps: int = 0
) -> tuple[keras.Model, int]:
    """Train ResNet-8 on `source` by a recipe; return it with the weights of its best epoch, and which.

    `steps` are those of an epoch; 0 takes what the images fill.
    """
    keras.utils.set_random_seed(seed)
    config = Config().replace(
        epochs=epochs, batch_size=BATCH, learning_rate=0.08, label_smoothing=0.0, crop="pad", mixup=mixup,
        seed=seed, imbalance=recipe.recipe,
    )  # fmt: skip
    task = Multiclass(source.classes)
    model = build_model("resnet8", (28, 28, 1), task.outputs, stem_pool=True)
    session = Session(
        config=config,
        source=source,
        preprocess=PREPROCESS,
        task=task,
        recorded_model={},
        model=model,
        goal=Goal(
            recipe.loss(task.loss, "auto", 0.0),
            "balanced_accuracy",
            lambda: task.metrics("balanced_accuracy"),
        ),
        balance=recipe,
        strategy=None,
        batch_size=BATCH,
        steps_per_epoch=steps or steps_per_epoch(len(source.train), BATCH),
        machine={},
        command="",
        cache=Cache("none"),
    )
    fitted = fit_phases(
        model,
        methods.choose(config).phases(session, epochs),
        optim=config.optim,
        steps_per_epoch=session.steps_per_epoch,
        goal=session.goal,
    )
    return model, fitted.best_epoch


def measure(model: keras.Model, source: Source) -> dict[str, Any]:
    """Return the accuracy on the test split over all classes, and over those of head, middle and tail."""
    classes = len(source.classes)
    test = evaluation_dataset(source.test, PREPROCESS, Multiclass(source.classes).targets, 200)
    logits = model.predict(test, verbose=0)
    counts = source.train.counts(classes).tolist()
    figures = summarize(logits, source.test.labels, source.classes, train_counts=counts)
    groups = {row["group"]: row["accuracy"] for row in figures["by_frequency"]}
    return {"balanced": figures["balanced_accuracy"], **groups}


def plan(names: Iterable[str], seeds: int, epochs: int) -> Iterable[tuple[str, Any]]:
    """Name and action of every run; seed by seed, so that a part of them compares too."""
    for seed in range(seeds):
        for name in names:
            yield f"{name}, seed {seed}", functools.partial(run, name, seed, epochs)


def gains(results: Results) -> str:
    """One line a recipe: by how many points it is better than plain cross-entropy, seed by seed."""
    lines = []
    for name in dict.fromkeys(key.rpartition(", seed")[0] for key in results):
        seeds = [key.rpartition(" ")[2] for key in results if key.rpartition(", seed")[0] == name]
        both = [seed for seed in seeds if f"none, seed {seed}" in results]
        gain = [
            results[f"{name}, seed {seed}"]["balanced"] - results[f"none, seed {seed}"]["balanced"]
            for seed in both
        ]
        if gain and name != "none":
            each = ", ".join(f"{100 * value:+.2f}" for value in gain)
            lines.append(f"{name:>23}  {100 * sum(gain) / len(gain):+.2f}  ({each})")
    return "\n".join(lines)


def main() -> None:
    """Do the runs that are missing, writing the file after each; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--recipes", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("saved_models/imbalance.json"))
    options = parser.parse_args()
    settings = {"epochs": options.epochs, "ratio": RATIO, "batch": BATCH}
    results = repeat(options.out, settings, plan(options.recipes, options.seeds, options.epochs))
    print(f"\naccuracy in per cent, mean ± standard deviation over seeds\n{table(results, COLUMNS)}")
    print(f"\nbalanced accuracy against plain cross-entropy, points: mean (each seed)\n{gains(results)}")


if __name__ == "__main__":
    main()
