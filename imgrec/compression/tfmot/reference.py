"""Ask tfmot: what a model becomes in the older engine, which runs in a process of its own.

Needs the extra `tfmot`, in this environment or in one of its own whose interpreter is named.
"""

import os
import subprocess
import sys
from pathlib import Path

import keras

from imgrec.compression.tfmot.describe import describe
from imgrec.compression.tfmot.description import write
from imgrec.compression.tfmot.job import Answer, Data, Job, read_answer, write_job
from imgrec.errors import InputError

ROOT = Path(__file__).parents[3]
MISSING = ("No module named 'tf_keras'", "No module named 'tensorflow_model_optimization'")


def ask(model: keras.Model, job: Job, data: Data, folder: Path, python: str = sys.executable) -> Answer:
    """Translate `model`, have the engine do `job`, and return what it answers.

    Args:
        model: functional, pixels in 0…255 in, logits out; left as it is.
        job: what is asked.
        data: what it needs.
        folder: for what goes over, and for `model.tflite`; made where there is none.
        python: the interpreter that has the extra `tfmot`.

    Raises:
        InputError: a layer has no translation, or tfmot is not installed there.
        RuntimeError: the engine failed.
    """
    write(describe(model), folder)
    write_job(job, data, folder)
    words = [python, "-m", "imgrec.compression.tfmot.engine", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    ran = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ran.returncode:
        if any(line in ran.stdout for line in MISSING):
            raise InputError(
                f"{python} has no tfmot: pip install 'imgrec[tfmot]' there, or name another python"
            )
        raise RuntimeError(f"tfmot's process ended with {ran.returncode}:\n{ran.stdout[-2000:]}")
    return read_answer(folder)
