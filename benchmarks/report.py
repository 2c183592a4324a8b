"""How long a report takes, and how much memory: python -m benchmarks.report --images 10000 --classes 10.

Answers are made, right about nine times of ten, with grey images of 28 pixels, and the whole page is written
by `evaluation.report.write_report`, in a process of its own for every size. The time is that of
making the page; the peak of memory is the process's.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgrec.config import Config
from imgrec.data.loading import load_arrays
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.report import write_report
from imgrec.evaluation.stored import Stored
from imgrec.tasks.multiclass import Multiclass


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for every number of classes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.child:
        print(json.dumps(measure(asked.images, asked.classes[0])))
        return 0
    for classes in asked.classes:
        command = [sys.executable, "-m", "benchmarks.report", "--child"]
        command += ["--images", str(asked.images), "--classes", str(classes)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{asked.images:,} images, {classes:,} classes: {found['seconds']:.1f} s, "
            f"{found['megabytes']:,.0f} MB at most, page {found['page_kb']:,.0f} KB"
        )
    return 0


def measure(images: int, classes: int) -> dict[str, float]:
    """Write the report of made answers and return seconds, the peak of memory in MB, and the page's KB."""
    task = Multiclass(tuple(f"class {index}" for index in range(classes)))
    split, held = made(images, classes, 0)
    _, validation = made(images // 5, classes, 1)
    mistakes = task.mistakes(held.ids, held.labels, held.outputs)
    wrong = split.take(np.array([mistake.index for mistake in mistakes], int))
    begun = time.perf_counter()
    given = Evaluated(
        title="made answers",
        task=task,
        figures=task.figures(held.outputs, held.labels),
        config=Config().flat(),
        data={"test": split.counts(classes).tolist()},
        versions={},
        mistakes=mistakes,
        mistake_images=load_arrays(wrong, Preprocess((28, 28), "grey", "crop")),
        test=Stored(held.ids, held.labels, held.outputs),
        validation=validation,
        split=Split(split.ids, split.labels, split.images, attributes={"camera": ("a", "b") * (images // 2)}),
    )
    with tempfile.TemporaryDirectory() as folder:
        write_report(Path(folder), given)
        size = (Path(folder) / "report" / "index.html").stat().st_size
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "megabytes": peak, "page_kb": size / 1000}


def made(images: int, classes: int, seed: int) -> tuple[Split, Stored]:
    """Return a split of noise and made answers for it."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(images) % classes).astype(np.int32)
    logits = rng.normal(size=(images, classes)).astype(np.float32)
    logits[np.arange(images), labels] += 3.0
    pixels = rng.integers(0, 255, (images, 28, 28, 1), np.uint8)
    ids = tuple(f"{index}.png" for index in range(images))
    return Split(ids, labels, pixels), Stored(ids, labels, 2 * logits)


if __name__ == "__main__":
    sys.exit(main())
