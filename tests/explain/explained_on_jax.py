"""Run by test_backends_agree.py with KERAS_BACKEND=jax: the maps of a model that TensorFlow explained too.

`python explained_on_jax.py FOLDER` reads model.keras and pictures.npy in FOLDER, and writes NAME.npy there
for each explanation.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from explained import LINES, asked_of

import imgrec.layers
import imgrec.models  # noqa: F401  their layers are registered
from imgrec.explain.methods import explain
from imgrec.spec import Spec


def main(folder: Path) -> None:
    assert keras.backend.backend() == "jax"
    model = keras.saving.load_model(folder / "model.keras")
    asked = asked_of(model, np.load(folder / "pictures.npy"))
    for line in LINES:
        spec = Spec.parse(line)
        np.save(folder / f"{spec.name}.npy", explain(asked, spec).values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
