"""What was trained under JAX is measured and exported by a process on TensorFlow, as TFLite needs it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from imgrec import bundle
from imgrec.learning.session import Session
from imgrec.runs.child import write_recipe


def hand_over(session: Session, folder: Path, out: Path) -> int:
    """Let a process on TensorFlow go on with the trained run in `folder`; return its exit code.

    It is the same command on another backend: it finds the training done, and quantises, measures and
    writes `out`. It sees one host and no accelerator of JAX's.
    """
    print("\ngoing on with TensorFlow on one device: it measures and exports", flush=True)
    settings = {name: value for name, value in session.config.flat().items() if name != "out"}
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    bundle.release(folder)
    with tempfile.TemporaryDirectory() as temporary:
        recipe = Path(temporary) / "trained.yaml"
        write_recipe(recipe, {**settings, "strategy": "none", "restart": False, "resume": True})
        return subprocess.run(
            [sys.executable, "-m", "pipelines.train", "--recipe", str(recipe), "--out", str(out)],
            env={**environment, "KERAS_BACKEND": "tensorflow"},
            check=False,
        ).returncode
