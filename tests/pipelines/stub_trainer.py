"""Stands in for `pipelines.train` where the process around it is what is tested: its files, in milliseconds.

Takes `--recipe FILE --out DIR` and writes a run folder whose accuracy is a known function of the settings:
0.9 − (log10 rate + 2)² / 10 in the last epoch, a share of it before. STUB_FAIL names folds or rates that end
with exit code 7; STUB_SECONDS is how long an epoch takes.
"""

import csv
import math
import os
import sys
import time
from pathlib import Path

import yaml

from imgrec import bundle, files


def accuracy(rate: float) -> float:
    return 0.9 - (math.log10(rate) + 2) ** 2 / 10


def main() -> int:
    words = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    settings = yaml.safe_load(Path(words["--recipe"]).read_text())
    out = Path(words["--out"])
    print(f"started {os.getpid()}", flush=True)
    if {settings["fold"], str(settings["learning_rate"])} & set(os.environ.get("STUB_FAIL", "-").split()):
        print("error: as asked", file=sys.stderr)
        return 7
    rate = settings["learning_rate"]
    best = accuracy(0.1 if rate == "auto" else rate)
    folder = out.with_name(f"{out.name}.unfinished")
    folder.mkdir(exist_ok=True)
    for epoch in range(1, settings["epochs"] + 1):
        time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
        rows = [f"{e},{best * e / settings['epochs']}" for e in range(1, epoch + 1)]
        files.write_text(folder / "history.csv", "\n".join(["epoch,val_accuracy", *rows]) + "\n")
    test = {
        "accuracy": best - 0.01,
        "per_class": [{"recall": best, "support": 1}, {"recall": 0, "support": 0}],
    }
    metrics = {"test": test, "exports": {"failures": []}}
    metrics["validation"] = {"epoch": settings["epochs"], "accuracy": best, "loss": 1 - best}
    files.write_json(folder / "metrics.json", metrics)
    files.write_json(
        folder / "run.json", {"format": bundle.FORMAT, "config": {"data": {"fold": settings["fold"]}}}
    )
    for name in ("model.keras", "labels.txt"):
        (folder / name).write_text("a\nb\n")
    (folder / "preprocess.json").write_text(bundle.Preprocess((8, 8)).to_json())
    if settings["fold"]:
        answers(folder / "out_of_fold.csv", int(settings["fold"].split("/")[0]))
    bundle.finish(folder, out)
    return 0


def answers(path: Path, number: int) -> None:
    """Ten images, six of class a; of those of class b all are right, of a as many as the fold's number."""
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "label", "p:a", "p:b"])
        for image in range(10):
            sure = 0.75 if image < 6 and image < number else 0.25
            writer.writerow([f"{number}-{image}", "a" if image < 6 else "b", sure, 1 - sure])


if __name__ == "__main__":
    sys.exit(main())
