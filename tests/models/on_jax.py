"""Run by test_backends.py with KERAS_BACKEND=jax: the harness, and the logits of models saved on TensorFlow.

`python on_jax.py FOLDER` reads FOLDER/cases.json, `[[name, options], …]`, and FOLDER/0.keras, 1.keras…;
prints a line for each case, and ends with an error at the first that fails.
"""

import json
import random
import sys
from pathlib import Path

import keras
import numpy as np

import imgrec.bundle
import imgrec.compression.qat
import imgrec.layers
import imgrec.models  # noqa: F401  the rooms that must not need TensorFlow

WITHOUT_TENSORFLOW = "tensorflow" not in sys.modules

from conformance import answer, check_everything, small  # noqa: E402  after the imports were looked at


def main(folder: Path) -> None:
    assert keras.backend.backend() == "jax"
    assert WITHOUT_TENSORFLOW, "importing imgrec under the JAX backend imported TensorFlow"
    for index, (name, options) in enumerate(json.loads((folder / "cases.json").read_text(encoding="utf-8"))):
        random.seed(0)  # from which Keras seeds its initialisers; its own function imports TensorFlow
        model = keras.saving.load_model(folder / f"{index}.keras")
        _, pixels = small(name, options, channels=3)
        np.save(folder / f"{index}.npy", answer(model, pixels))
        check_everything(name, options, folder)
        print("conforms:", name, options, flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
