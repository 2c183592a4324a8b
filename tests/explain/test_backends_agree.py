"""The same maps on the JAX backend, under the same weights."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from explained import LINES, asked_of, network, pixels

from imgrec.explain.methods import explain
from imgrec.spec import Spec

HERE = Path(__file__).parent


def test_maps_on_jax_are_tensorflow_s(tmp_path: Path) -> None:
    model, images = network("lenet5"), pixels()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "pictures.npy", images)
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
    }
    command = [sys.executable, "-W", "error::UserWarning", str(HERE / "explained_on_jax.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in LINES:
        spec = Spec.parse(line)
        ours, theirs = explain(asked_of(model, images), spec).values, np.load(tmp_path / f"{spec.name}.npy")
        assert np.ptp(ours) > 0
        np.testing.assert_allclose(theirs, ours, atol=1e-3 * np.abs(ours).max(), err_msg=line)
