"""Several pictures of one object, answered as one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.errors import InputError
from imgrec.guards.documents import read_json
from imgrec.metrics.views import FUSIONS, fuse
from imgrec.serving.predictor import BATCH, Predictor

WAYS = ("", "folder", "all")


def fusion_of(run: Path) -> str:
    """Return how a run fuses several pictures, chosen by its validation objects; empty where it did not."""
    path = run / "metrics.json"
    told = read_json(path).get("objects", {}) if path.is_file() else {}
    chosen = told.get("fusion", "") if isinstance(told, dict) and told.get("chosen_by_validation") else ""
    return chosen if chosen in FUSIONS else ""


def answers_of(
    predictor: Predictor, run: Path, files: Sequence[Path], views: str, top: int = 5
) -> Iterator[dict[str, Any]]:
    """Give the answer for each file, or for each object that `views` makes of them.

    An object's row has `path`, its folder, and `views`, how many pictures were read; `unread` has the reasons
    of others. Fused as the run chose (`fusion_of`), else by mean probability.

    Args:
        predictor: answers.
        run: the run folder that it was opened from, or a file.
        files: of the pictures.
        views: empty (each by itself), folder (those of a folder) or all.
        top: classes to name.

    Raises:
        InputError: another word for `views`, or no class to name.
    """
    if top < 1:
        raise InputError(f"--top {top}: expected at least 1")
    if views not in WAYS:
        raise InputError(f"--views {views}: expected folder (each folder is an object) or all (one object)")
    if not views:
        return predictor.answers(files, top)
    if not predictor.task.activation:
        raise InputError(f"--views: answers of the task {predictor.task.name} are no probabilities to fuse")
    objects: dict[str, list[Path]] = {}
    for file in files:
        objects.setdefault(str(file.parent) if views == "folder" else "all pictures", []).append(file)
    fusion = fusion_of(run) or FUSIONS[0]
    return (_answer(predictor, name, held, fusion, top) for name, held in objects.items())


def _answer(predictor: Predictor, name: str, files: Sequence[Path], fusion: str, top: int) -> dict[str, Any]:
    """Return the answer for one object."""
    parts, unread = [], {}
    for start in range(0, len(files), BATCH):
        images = []
        for file in files[start : start + BATCH]:
            pixels = predictor.prepared(file)
            if isinstance(pixels, str):
                unread[str(file)] = pixels
            else:
                images.append(pixels)
        if images:
            parts.append(predictor.predict(np.stack(images)))
    more = {"unread": unread} if unread else {}
    if not parts:
        return {"path": name, "error": "none of its pictures can be read", **more}
    scores = np.concatenate(parts)
    fused = fuse(scores, np.zeros(len(scores), np.int64), fusion, predictor.task.activation)
    # Sets and thresholds were measured on single pictures, and promise nothing of several.
    (answer,) = predictor.task.plain.decode(fused.astype(np.float32), top)
    return {"path": name, "views": len(scores), "fusion": fusion, **answer, **more}
