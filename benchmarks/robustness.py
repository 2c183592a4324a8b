"""Augmentation against corruption: the sample trained plainly, with RandAugment and with AugMix.

    python -m benchmarks.robustness                     # 3 seeds × 3 policies: an hour on 2 cores
    python -m benchmarks.robustness --seeds 1 --epochs 3

Every run, of a small ResNet-8, is made by `pipelines.train` and measured by `pipelines.evaluate --also
corruptions` on all 2,000 test images; what is there already is not done again.
"""

import argparse
import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.repeated import Results, repeat, spread, table
from pipelines import evaluate, train

POLICIES = {"plain": "flip", "RandAugment": "flip|randaugment(2, 9)", "AugMix": "flip|augmix"}
"""What training images go through; all start from the recipe of the sample."""
MODEL = "resnet8(width=16, stem_pool=true)"
GROUPS = ("noise", "blur", "weather", "digital")
COLUMNS = ("clean", *GROUPS, "mean")


def run(folder: Path, policy: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train and measure one run, unless it is there; return its errors, means over severities."""
    out = folder / f"{policy.lower()}-{seed}"
    if not (out / "manifest.json").exists():
        words = ["--recipe", "sample", "--model", MODEL, "--augment", POLICIES[policy], "--seed", str(seed)]
        train.main([*words, "--epochs", str(epochs), "--quantize", "none", "--out", str(out)])
    measured = folder / "measured" / out.name
    words = ["--run", str(out), "--out", str(measured), "--also", "corruptions(images=2000)"]
    evaluate.main(words)
    return errors(json.loads((measured / "metrics.json").read_text(encoding="utf-8"))["corruptions"])


def errors(told: dict[str, Any]) -> dict[str, Any]:
    """Return the clean error, the mean of each group, that of all, and that of each corruption."""
    rows = told["by_corruption"]
    means = {row["name"]: row["mean_error"] for row in rows}
    of_group = {group: [row["mean_error"] for row in rows if row["group"] == group] for group in GROUPS}
    return {
        "clean": told["clean"]["error"],
        **{group: sum(each) / len(each) for group, each in of_group.items()},
        "mean": told["mean_error"],
        "by_corruption": means,
    }


def plan(folder: Path, seeds: int, epochs: int) -> Iterable[tuple[str, Any]]:
    """Name and action of every run; seed by seed, so that a part of them compares too."""
    for seed in range(seeds):
        for policy in POLICIES:
            yield f"{policy}, seed {seed}", functools.partial(run, folder, policy, seed, epochs)


def gains(results: Results) -> str:
    """One line a policy: its mean error and its mCE against plain of the same seed."""
    lines = []
    for policy in (name for name in POLICIES if name != "plain"):
        pairs = [
            (results[name], results[f"plain, {name.partition(', ')[2]}"])
            for name in results
            if name.startswith(f"{policy},") and f"plain, {name.partition(', ')[2]}" in results
        ]
        less = [1 - ours["mean"] / theirs["mean"] for ours, theirs in pairs]
        mce = [
            mean_corruption_error(ours["by_corruption"], theirs["by_corruption"]) for ours, theirs in pairs
        ]
        each = ", ".join(f"{100 * value:.1f}" for value in less)
        lines.append(
            f"{policy:>12}: mean error lower by {spread(less)} % of plain's ({each}); "
            f"mCE against plain {spread(mce)} %"
        )
    return "\n".join(lines)


def mean_corruption_error(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Return the mean over corruptions of our errors over theirs."""
    return sum(ours[name] / theirs[name] for name in ours) / len(ours)


def main() -> None:
    """Do the runs that are missing, writing the file after each; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=Path("saved_models/robustness"))
    options = parser.parse_args()
    settings = {"epochs": options.epochs, "model": MODEL, "policies": POLICIES}
    path = options.folder / "robustness.json"
    results = repeat(path, settings, plan(options.folder, options.seeds, options.epochs))
    print(f"\nerrors in per cent, mean ± standard deviation over seeds\n{table(results, COLUMNS)}")
    print(gains(results))


if __name__ == "__main__":
    main()
