"""Transfer to solar cells: defective or not, from 1,445 images; a floor, a new head, and fine-tuning.

python -m benchmarks.elpv [floor] [head] [finetune]      (default: all three)

Needs `pip install elpv-dataset "imgrec[pretrained]"`. The data (Deitsch et al., 2019 and 2021, arXiv
1807.02894; CC BY-NC-SA 4.0) stay in that package; a folder of two classes is linked from it to
saved_models/elpv/data. Of its cells those of probability 0 and 1 count; a quarter is for testing, as in
the paper, and a tenth for validation, divided by class and kind of cell, always the same.
"""

import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from imgrec.data.sources.dataset import Split
from imgrec.data.sources.splits import divide
from pipelines import train

HOME = Path("saved_models/elpv")
CLASSES = {0.0: "functional", 1.0: "defective"}
FLOOR_SIDE = 64


def package_folder() -> Path:
    """Where the installed data set lies."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        sys.exit('the data set is not installed: pip install elpv-dataset "imgrec[pretrained]"')
    return Path(spec.origin).parent / "data"


def write_folder(target: Path) -> None:
    """Fill `target` with train, val and test, each with a folder of links (or copies) a class."""
    package = package_folder()
    lines = (package / "labels.csv").read_text(encoding="utf-8").split("\n")
    rows = [(file, float(share), kind) for file, share, kind in (line.split() for line in lines if line)]
    rows = [row for row in rows if row[1] in CLASSES]
    strata = tuple(sorted({f"{CLASSES[share]} {kind}" for _, share, kind in rows}))
    cells = Split(
        ids=tuple(file for file, _, _ in rows),
        labels=np.array([strata.index(f"{CLASSES[share]} {kind}") for _, share, kind in rows], np.int32),
        paths=tuple(str(package / file) for file, _, _ in rows),
    )
    parts = divide(cells, strata, (0.1, 0.25), seed=0)
    shutil.rmtree(target, ignore_errors=True)
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        for path, label in zip(part.paths or (), part.labels, strict=True):
            link = target / name / strata[label].split()[0] / Path(path).name
            link.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.symlink(path, link)
            except OSError:  # a system on which links need rights
                shutil.copyfile(path, link)


def floor() -> float:
    """Logistic regression on pixels (64 × 64, area-averaged), its strength chosen on validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    def load(part: str) -> tuple[np.ndarray, np.ndarray]:
        files = sorted((HOME / "data" / part).glob("*/*.png"))
        pictures = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
        small = [cv2.resize(p, (FLOOR_SIDE, FLOOR_SIDE), interpolation=cv2.INTER_AREA) for p in pictures]
        pixels = np.stack(small).reshape(len(small), -1) / 255.0 - 0.5
        return pixels, np.array([file.parent.name == "defective" for file in files])

    (x, y), (val_x, val_y), (test_x, test_y) = (load(part) for part in ("train", "val", "test"))
    models = [LogisticRegression(C=c, max_iter=2000).fit(x, y) for c in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)]
    best = max(models, key=lambda model: roc_auc_score(val_y, model.decision_function(val_x)))
    return float(roc_auc_score(test_y, best.decision_function(test_x)))


def recipe(name: str) -> float:
    """Train by a recipe, features computed anew, and return the test split's AUC.

    Without crops: a defect may lie anywhere in a cell, and a part of the cell may miss it.
    """
    out = HOME / name
    os.environ["XDG_CACHE_HOME"] = str(HOME / "cache")
    shutil.rmtree(HOME / "cache", ignore_errors=True)
    words = ["--recipe", name, "--data", str(HOME / "data"), "--out", str(out)]
    if train.main([*words, "--crop", "none", "--quantize", "none", "--no-tensorboard"]):
        sys.exit(f"{name}: a file failed the parity gate, see {out}")
    return float(json.loads((out / "metrics.json").read_text(encoding="utf-8"))["test"]["auc"])


ROWS: dict[str, tuple[str, Callable[[], float]]] = {
    "floor": ("logistic regression on pixels", floor),
    "head": ("EfficientNet-Lite0, new head on cached features", lambda: recipe("transfer_head")),
    "finetune": ("EfficientNet-Lite0, fine-tuned", lambda: recipe("transfer_finetune")),
}


def main() -> None:
    """Measure the rows asked for; time is the whole command's: data check, training, test and export."""
    write_folder(HOME / "data")
    lines = []
    for key in sys.argv[1:] or ROWS:
        title, measure = ROWS[key]
        begun, processor = time.perf_counter(), time.process_time()
        area = measure()
        seconds, used = time.perf_counter() - begun, time.process_time() - processor
        lines.append(f"{title:50} AUC {area:.4f}   {seconds:7.0f} s   {used:7.0f} s of processor time")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
