"""Augmentation against corruption: the sample trained plainly, with RandAugment and with AugMix.

    python -m benchmarks.robustness                     # 3 seeds × 3 policies: an hour on 2 cores
    python -m benchmarks.robustness --seeds 1 --epochs 3

Every run, of a small ResNet-8, is made by `pipelines.train` and measured as by `pipelines.evaluate --also
corruptions` on the 2,000 test images, those of one seed on the same pixels; what is there already is not done
again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.repeated import Results, spread, table
from imgrec import bundle
from imgrec.data.corrupt import SEVERITIES
from imgrec.data.sources.sample import load_sample
from imgrec.evaluation.robustness import corruptions
from imgrec.evaluation.robustness.chosen import of_run, some_of
from imgrec.files import write_json
from pipelines import train

POLICIES = {"plain": "flip", "RandAugment": "flip|randaugment(2, 9)", "AugMix": "flip|augmix"}
"""What training images go through; all start from the recipe of the sample."""
MODEL = "resnet8(width=16, stem_pool=true)"
GROUPS = ("noise", "blur", "weather", "digital")
COLUMNS = ("clean", *GROUPS, "mean")


def trained(folder: Path, policy: str, seed: int, epochs: int) -> Path:
    """Return the folder of a run, trained unless it is there."""
    out = folder / f"{policy.lower()}-{seed}"
    if not (out / bundle.MANIFEST).exists():
        words = ["--recipe", "sample", "--model", MODEL, "--augment", POLICIES[policy], "--seed", str(seed)]
        train.main([*words, "--epochs", str(epochs), "--quantize", "none", "--out", str(out)])
    return out


def measured(runs: Sequence[Path], images: int) -> list[dict[str, Any]]:
    """Return the errors of each run on `images` of the sample's test images, all severities."""
    task = bundle.read(runs[0]).task
    answering = [of_run(str(run), task, "run") for run in runs]
    split = some_of(load_sample().test, images, 0, "robustness")
    found = corruptions.measure(answering, split, SEVERITIES, seed=0)
    return [errors(corruptions.figures(*each, SEVERITIES)) for each in found]


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
    """Train and measure what is missing, writing the file after each seed; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--folder", type=Path, default=Path("saved_models/robustness"))
    options = parser.parse_args()
    path = options.folder / f"robustness-{options.images}.json"
    results: Results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for seed in range(options.seeds):
        if f"plain, seed {seed}" in results:
            continue
        runs = [trained(options.folder, policy, seed, options.epochs) for policy in POLICIES]
        for policy, each in zip(POLICIES, measured(runs, options.images), strict=True):
            results[f"{policy}, seed {seed}"] = each
        write_json(path, results)
    print(f"\nerrors in per cent, mean ± standard deviation over seeds\n{table(results, COLUMNS)}")
    print(gains(results))


if __name__ == "__main__":
    main()
