"""The zoo on the JAX backend: the same harness, and the same logits under the same weights."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conformance import answer, small

HERE = Path(__file__).parent
QUICK: list[tuple[str, dict[str, Any]]] = [("lenet5", {})]
"""Convolution, pooling and dense layers; JAX compiles every operation by itself."""
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("resnet8", {"attention": "se", "width": 8}),
    ("resnet8", {"attention": "cbam", "width": 8}),
    ("resnet8", {"attention": "occlusion", "width": 8}),
    ("resnet8", {"deformable": "stage3", "width": 8}),
    ("vit_small_image", {}),
    ("mobilenet_v2", {}),
    ("mobilenet_v3_small", {}),
    ("shufflenet_v2_x0_5", {}),
    ("efficientnet_b0", {}),
    ("mobilevit_xxs", {}),
    ("swin_t", {}),
]


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize(
    "cases", [QUICK, pytest.param(FAMILIES, marks=pytest.mark.slow)], ids=["quick", "all"]
)
def test_models_conform_on_jax(cases: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    expected = []
    for index, (name, options) in enumerate(cases):
        model, pixels = small(name, options, channels=3)
        expected.append(answer(model, pixels))
        model.save(tmp_path / f"{index}.keras")
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    run_on_jax(tmp_path)
    for index, (name, options) in enumerate(cases):
        logits = np.load(tmp_path / f"{index}.npy")
        error = np.abs(logits - expected[index]).max()
        assert error <= 1e-4 * max(1.0, np.abs(expected[index]).max()), (name, options)


def run_on_jax(folder: Path) -> None:
    """Run on_jax.py in a process of its own: a process has one backend."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
    }
    command = [sys.executable, "-W", "error::UserWarning", str(HERE / "on_jax.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
