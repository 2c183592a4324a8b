"""A run folder of the linear model, with what a server needs to watch for drift."""

from pathlib import Path

import cv2
import numpy as np
from linear import LABELS, reference, write_companions

from imgrec import bundle, files
from imgrec.watching import measures
from imgrec.watching import reference as watching
from imgrec.watching.reference import Reference


def photographs(count: int, seed: int, light: float = 1.0) -> np.ndarray:
    """Smooth pictures of changing brightness, uint8 `[N, 8, 6, 3]`, all times `light`."""
    draw = np.random.default_rng(seed)
    rough = draw.uniform(0, 255, (count, 8, 6, 3)) * draw.uniform(0.5, 1, (count, 1, 1, 1))
    return np.stack([cv2.blur(each, (3, 3)) * light for each in rough]).astype(np.uint8)


def watched_run(folder: Path, linear_file: Path, count: int = 400) -> Path:
    """Write a run whose float32 file is the linear model, and which knows `photographs(count, 0)`."""
    images = photographs(count, 0)
    rows = [measures.of(image) for image in images]
    shares = reference(images)
    values = {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}
    values["confidence"] = shares.max(axis=1).astype(np.float32)
    begun = bundle.begin(folder)
    files.write_json(begun / "run.json", {"format": bundle.FORMAT})
    files.write_text(begun / "model.keras", "unread")
    gate = {"name": "float32", "agreement": 1.0, "max_abs_difference": 0.0}
    files.write_json(begun / "metrics.json", {"exports": {"files": [gate], "failures": []}})
    write_companions(begun)
    write_companions(begun / "exports")
    (begun / "exports" / "float32.tflite").write_bytes(linear_file.read_bytes())
    watching.write(begun, Reference(values, shares.argmax(axis=1).astype(np.int32), len(LABELS)))
    bundle.finish(begun, folder)
    return folder
