"""The first command that a person types, with no flag, beside logistic regression on frozen features.

python -m benchmarks.first_command --work DIR [--folders cutouts elpv emoji sample] [--seeds 0 1 2]

For every folder of `benchmarks.folders` and every seed: `python -m pipelines.train --data FOLDER --seed S`,
nothing cached from before, in a process of its own; accuracy from its metrics.json, seconds on the clock and
of processor time for the whole command. Answers are kept in DIR/first_command.json and not measured twice.
What stands after `--` is added to the command and to the name of its row, for a look at other settings:

python -m benchmarks.first_command --work DIR --folders sample --seeds 0 -- --epochs 1 --model resnet8
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.linear_peer import FOLDERS, peer
from imgrec.files import write_text

ALLOWED = 0.01
"""How far the mean of the seeds may lie under the peer's."""
SECONDS = 600.0


class Ran(NamedTuple):
    """What a command took: exit status, seconds on the clock, and of processor time with all its children."""

    status: int
    wall: float
    processor: float


def run_command(
    words: list[str], log: Path, cache: Path, watch: Callable[[int], None] = lambda process: None
) -> Ran:
    """Run a command to its end with an empty cache folder; what it prints goes to `log`.

    `watch` is called with the process's number once a second while it runs.
    """
    shutil.rmtree(cache, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with open(log, "w", encoding="utf-8") as stream:
        running = subprocess.Popen(words, stdout=stream, stderr=subprocess.STDOUT, env=environment)
        while running.poll() is None:
            watch(running.pid)
            try:
                running.wait(timeout=1)
            except subprocess.TimeoutExpired:
                continue
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(running.returncode, time.perf_counter() - begun, used)


def first_command(work: Path, folder: str, seed: int, flags: list[str]) -> dict[str, Any]:
    """Train without flags, or with those given, and return accuracy, AUC of two classes, and seconds.

    Raises:
        SystemExit: the command failed; where it printed why.
    """
    home = work / "first" / f"{folder}-{seed}"
    shutil.rmtree(home, ignore_errors=True)
    words = [sys.executable, "-m", "pipelines.train", "--data", str(work / folder), "--seed", str(seed)]
    ran = run_command([*words, "--out", str(home / "run"), *flags], home / "log.txt", home / "cache")
    metrics = home / "run" / "metrics.json"
    # Status 1 with a whole run: a file was not written because it failed the gate. The model is there.
    if not metrics.is_file():
        sys.exit(f"{folder}, seed {seed}: the command ended with {ran.status}, see {home / 'log.txt'}")
    test = json.loads(metrics.read_text(encoding="utf-8"))["test"]
    figures = {"accuracy": test["accuracy"], "auc": test.get("auc"), "status": ran.status}
    return {**figures, "wall_s": round(ran.wall, 1), "processor_s": round(ran.processor, 1)}


def row(folder: str, ours: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    """One line of the table: means, each seed, the difference in points, the longest command, the verdict."""
    mean, other = (statistics.mean(answer["accuracy"] for answer in side) for side in (ours, peers))
    each = " ".join(f"{a['accuracy']:.4f}/{b['accuracy']:.4f}" for a, b in zip(ours, peers, strict=True))
    wall, used = (max(answer[key] for answer in ours) for key in ("wall_s", "processor_s"))
    holds = mean >= other - ALLOWED - 1e-9 and wall <= SECONDS
    return (
        f"{folder:10} {mean:.4f} {other:.4f} {100 * (mean - other):+7.2f} {wall:8.0f} {used:10.0f}  "
        f"{'holds' if holds else 'FAILS'}   {each}"
    )


def main() -> None:
    """Measure what is not yet measured, and print the table."""
    parser = argparse.ArgumentParser(description="The first command, without flags, beside its peer.")
    parser.add_argument("--work", type=Path, required=True, help="where benchmarks.folders wrote")
    parser.add_argument("--folders", nargs="+", default=list(FOLDERS), help="folders below it")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="one division each")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    given, flags = parser.parse_args(words[:cut]), words[cut + 1 :]
    path = given.work / "first_command.json"
    lines = [f"{'':10} {'ours':>6} {'peer':>6} {'points':>7} {'clock s':>8} {'process. s':>10}  (longest)"]
    for folder in given.folders:
        name, ours = " ".join([folder, *flags]), []
        for seed in given.seeds:
            record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if str(seed) not in record.setdefault(name, {}):
                record[name][str(seed)] = first_command(given.work, folder, seed, flags)
                write_text(path, json.dumps(record, indent=1))
            ours.append(record[name][str(seed)])
            print(f"{name}, seed {seed}: {json.dumps(ours[-1])}", flush=True)
        lines.append(row(folder, ours, list(peer(given.work, folder, given.seeds).values())))
    print("\n".join(lines))
    print(f"{len(os.sched_getaffinity(0))} cores; each seed as ours/peer")


if __name__ == "__main__":
    main()
