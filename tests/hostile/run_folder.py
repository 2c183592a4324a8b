"""A small run folder with untrained weights, and what whoever hands it on can do to it: manifest included."""

import shutil
from collections.abc import Callable
from pathlib import Path

from imgrec import bundle, files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.tasks.multiclass import Multiclass

PREPROCESS = Preprocess(size=(28, 28), colour="grey")
TASK = Multiclass(("ant", "bee", "cat"))
PROVEN = {"name": "float32", "agreement": 1.0, "max_abs_difference": 1e-5}
MODEL = {"name": "lenet5", "input_shape": [28, 28, 1], "num_classes": 3, "options": {}}


def write_run(out: Path) -> Path:
    from imgrec.models import build_model

    model = build_model("lenet5", input_shape=PREPROCESS.shape, num_classes=3)
    folder = bundle.begin(out)
    config = {"data": {"data": "sample"}}
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "model": MODEL, "config": config})
    files.write_file(folder / "model.keras", lambda path: model.save(path))
    for part in (folder, folder / "exports"):
        files.write_text(part / "preprocess.json", PREPROCESS.to_json())
        tasks.write(part, TASK)
    files.write_json(folder / "metrics.json", {"exports": {"images": 9, "files": [PROVEN], "failures": []}})
    files.write_text(folder / "history.csv", "epoch,loss\n1,0.5\n2,0.4\n")
    return bundle.finish(folder, out)


def forged(good: Path, out: Path, change: Callable[[Path], object]) -> Path:
    """Copy a run folder, change it and write a manifest that fits, as whoever hands it on can."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(good, out)
    change(out)
    bundle.write_manifest(out)
    return out
