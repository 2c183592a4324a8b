"""Run folders of linear models, made in no time, for stores of versions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from linear import WEIGHTS, write_companions

from imgrec import bundle, files

PROVEN = {"name": "float32", "agreement": 1.0, "max_abs_difference": 1e-5}


def weights(seed: int) -> np.ndarray:
    """Other weights than those in the file, `[pixels, 3]`; seed 0 gives those."""
    return WEIGHTS if seed == 0 else np.random.default_rng(seed).normal(0, 0.001, WEIGHTS.shape).astype("f4")


def scores(seed: int, images: np.ndarray) -> np.ndarray:
    logits = images.reshape(len(images), -1).astype(np.float64) @ weights(seed)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def make_run(out: Path, linear_file: Path, seed: int = 0) -> Path:
    """A finished run whose float32 file answers; nobody opens its Keras model."""
    folder = bundle.begin(out)
    files.write_json(
        folder / "run.json", {"format": bundle.FORMAT, "model": {"name": "linear"}, "seed": seed}
    )
    files.write_text(folder / "model.keras", "nobody opens this")
    for part in (folder, folder / "exports"):
        write_companions(part)
    data, held = linear_file.read_bytes(), WEIGHTS.T.tobytes()
    assert data.count(held) == 1
    (folder / "exports" / "float32.tflite").write_bytes(data.replace(held, weights(seed).T.tobytes()))
    measured: dict[str, Any] = {"exports": {"images": 9, "files": [PROVEN], "failures": []}}
    files.write_text(folder / "metrics.json", json.dumps(measured))
    bundle.finish(folder, out)
    return out
