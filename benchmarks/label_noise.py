"""Wrong labels: how many of the 5 % that were flipped are found, and what training without them is worth.

python -m benchmarks.label_noise [network]

The sample's training labels, 5 % of them flipped evenly to other classes, are audited as an npz: file. Then
three sets are learned from: with the true labels, with the flipped ones, and with the flipped ones less the
suspects that the audit lists in training (those it lists in validation and test have true labels, and without
them the test would be easier). By default by the nearest neighbour in the audit's features, which believes
every label; with `network` also by the trainer (resnet8, without smoothing or augmentation, minutes each).
"""

import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from imgrec.data.audit import gradients
from imgrec.data.audit.compare import image_facts
from imgrec.data.sources.sample import load_sample
from pipelines import audit, train

SHARE = 0.05


def write_sets(folder: Path) -> np.ndarray:
    """Write true.npz and flipped.npz, with three splits each; return which training labels are flipped."""
    source = load_sample()
    draw = np.random.default_rng(0)
    labels = source.train.labels.copy()
    chosen = draw.choice(len(labels), int(SHARE * len(labels)), replace=False)
    labels[chosen] = (labels[chosen] + draw.integers(1, 10, len(chosen))) % 10
    rest = {
        f"{letter}_{part}": value
        for part in ("val", "test")
        for letter, value in (("x", source.splits[part].images), ("y", source.splits[part].labels))
    }
    for name, train_labels in (("true", source.train.labels), ("flipped", labels)):
        arrays = {"x_train": source.train.images, "y_train": train_labels, **rest}
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    return labels != source.train.labels


def ranking(out: Path, flipped: np.ndarray, suspects: Path) -> np.ndarray:
    """Print how the audit ranks the flipped labels; return, and write, which training images it lists."""
    from sklearn.metrics import roc_auc_score

    with (out / "images.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "train"]
    quality = np.array([float(row["label_quality"]) for row in rows])
    listed = np.array(["label_suspect" in row["codes"].split() for row in rows])
    print(f"AUROC of the ranking {roc_auc_score(flipped, -quality):.4f}; {listed.sum()} listed")
    print(f"  recall {listed[flipped].mean():.3f}, precision {flipped[listed].mean():.3f}")
    suspects.write_text("".join(f"{row['id']}\n" for row, is_one in zip(rows, listed, strict=True) if is_one))
    return listed


def nearest(flipped: Path, kept: np.ndarray) -> None:
    """Print the test accuracy of the nearest neighbour under the three sets of labels."""
    from sklearn.neighbors import KNeighborsClassifier

    source = load_sample()
    held = {
        part: gradients.describe(image_facts({part: source.splits[part]}, source.classes, {}).thumbnails)
        for part in ("train", "test")
    }
    with np.load(flipped) as arrays:
        labels = arrays["y_train"]
    everything = np.ones(len(labels), bool)
    sets = {
        "true": (source.train.labels, everything),
        "flipped": (labels, everything),
        "cleaned": (labels, kept),
    }
    for name, (given, chosen) in sets.items():
        model = KNeighborsClassifier(1, algorithm="brute").fit(held["train"][chosen], given[chosen])
        print(
            f"nearest neighbour, {name:>7}: {model.score(held['test'], source.test.labels):.4f}", flush=True
        )


def network(folder: Path, suspects: Path) -> None:
    """Print the test accuracy of a small network under the three sets of labels."""
    words = ["--model", "resnet8(width=16)", "--epochs", "12", "--quantize", "none"]
    words += [
        "--crop",
        "none",
        "--no-flip",
        "--label-smoothing",
        "0",
        "--weight-decay",
        "0",
        "--no-tensorboard",
    ]
    for name in ("true", "flipped", "cleaned"):
        data = folder / ("true.npz" if name == "true" else "flipped.npz")
        out = folder / name
        extra = ["--quarantine", str(suspects)] if name == "cleaned" else []
        train.main(["--data", f"npz:{data}", "--out", str(out), *words, *extra])
        accuracy = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["test"]["accuracy"]
        print(f"resnet8, {name:>7}: {accuracy:.4f}", flush=True)


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        flipped = write_sets(folder)
        out = folder / "audit"
        audit.main(["--data", f"npz:{folder / 'flipped.npz'}", "--out", str(out), "--suspects", "true"])
        suspects = folder / "suspects_of_training.txt"
        listed = ranking(out, flipped, suspects)
        nearest(folder / "flipped.npz", ~listed)
        if "network" in sys.argv[1:]:
            network(folder, suspects)


if __name__ == "__main__":
    main()
