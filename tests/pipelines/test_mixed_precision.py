"""A model that learned in bfloat16 or float16 is measured, saved and exported in float32."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from imgrec import bundle
from imgrec.runtimes import of_model, open_runtime
from imgrec.tasks.multiclass import Multiclass
from pipelines import train

WORDS = ["--model", "resnet8(width=8)", "--weights", "none", "--epochs", "1", "--batch-size", "16"]
WORDS += ["--learning-rate", "0.05", "--quantize", "ptq", "--calibration-images", "16", "--no-tensorboard"]


@pytest.mark.parametrize(
    "precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def test_file_and_folder_compute_in_float32(tmp_path: Path, precision: str) -> None:
    draw = np.random.default_rng(0)
    # Noise under labels of chance: answers that hang on the last bits of a figure.
    images = draw.integers(0, 256, (400, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=images, labels=np.arange(400) % 4)
    out = tmp_path / "run"
    # The int8 file of such a model may fail the gate or pass it.
    where = ["--data", f"npz:{tmp_path / 'noise.npz'}", "--out", str(out)]
    train.main([*where, "--precision", precision, *WORDS])

    metrics = json.loads((out / "metrics.json").read_text())
    row = metrics["exports"]["files"][0]
    assert row["name"] == "float32" and row["agreement"] == 1.0 and row["max_abs_difference"] < 1e-4
    assert json.loads((out / "run.json").read_text())["machine"]["precision"] == precision

    keras.config.set_dtype_policy(precision)  # of the program that loads it
    model = bundle.load(out).model
    assert keras.config.dtype_policy().name == precision
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    file = open_runtime(out / "exports" / "float32.tflite")
    task = Multiclass(tuple("0123"))
    one, other = (each.scores_of(each.answer(images[..., None]), task) for each in (of_model(model), file))
    assert np.abs(one - other).max() < 1e-4
