"""A finished run to learn from, put together by hand."""

from pathlib import Path
from typing import Any

import keras

from imgrec import bundle, files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.tasks.task import Task


def write_teacher(
    out: Path,
    recorded: dict[str, Any],
    task: Task,
    preprocess: Preprocess,
    model: keras.Model | None = None,
    data: str = "other",
) -> keras.Model:
    """Write a run folder of the model that `recorded` builds, or of `model`; return it."""
    model = model or bundle.build(recorded)
    folder = bundle.begin(out)
    record = {"format": bundle.FORMAT, "model": recorded, "config": {}, "data": {"fingerprint": data}}
    files.write_json(folder / "run.json", record)
    files.write_text(folder / "preprocess.json", preprocess.to_json())
    tasks.write(folder, task)
    model.save(folder / "model.keras")
    bundle.finish(folder, out)
    return model
