"""A folder `<name>.openvino/<version>/` of OpenVINO's own files, as OpenVINO Model Server takes it."""

from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from imgrec.artefact import SCORES
from imgrec.errors import InputError
from imgrec.extras import require
from imgrec.frameworks import unseen

GRAPH, WEIGHTS = "model.xml", "model.bin"
BATCH = 32
"""Images that it takes at a time."""


def openvino(what: str) -> ModuleType:
    """Import OpenVINO, its telemetry left out: it would send a message to its makers by being imported.

    Raises:
        InputError: it is not installed.
    """
    with unseen(["openvino_telemetry"]):
        return require("openvino", "openvino", what)


class OpenVinoModel:
    """An `Engine`; it says nothing of itself, texts lie beside it.

    It computes in float32, or in int8 where the file says so: of itself OpenVINO takes bfloat16 where the
    processor has it, and answers are others then.
    """

    def __init__(self, file: Path, num_threads: int | None = None) -> None:
        """Open an `.xml`, `.onnx` or `.tflite` file.

        Raises:
            InputError: no OpenVINO, a damaged file, or one that takes or gives something else than images
                and their outputs.
        """
        ov = openvino(f"{file}: an OpenVINO model")
        config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if num_threads:
            config["INFERENCE_NUM_THREADS"] = str(num_threads)
        try:
            core = ov.Core()
            self._compiled = core.compile_model(core.read_model(str(file)), "CPU", config)
        except RuntimeError as error:
            told = str(error).strip().splitlines()
            raise InputError(
                f"{file}: not a model that OpenVINO runs: {told[-1] if told else error}"
            ) from None
        given, made = self._compiled.inputs, self._compiled.outputs
        shapes = [[part.partial_shape for part in parts] for parts in (given, made)]
        if len(given) != 1 or len(made) != 1 or len(shapes[0][0]) != 4 or len(shapes[1][0]) < 2:
            raise InputError(f"{file}: takes {shapes[0]} and gives {shapes[1]}, expected images and outputs")
        (taken,), (gives,) = shapes
        if any(side.is_dynamic for side in (*list(taken)[1:], *list(gives)[1:])):
            raise InputError(f"{file}: takes {taken} and gives {gives}, expected images of one size")
        self.image, self.outputs = (
            tuple(int(side.get_length()) for side in list(part)[1:]) for part in (taken, gives)
        )
        self.texts: dict[str, str] = {}
        self._dtype = given[0].element_type.to_dtype()
        self._request = self._compiled.create_infer_request()
        self.scored = SCORES in made[0].names
        self.batch = BATCH if taken[0].is_dynamic else taken[0].get_length()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 `[N, *outputs]` of uint8 `[N, H, W, C]`, N ≥ 1; grey images are repeated."""
        if images.shape[-1] == 1 and self.image[-1] == 3:
            images = np.repeat(images, 3, axis=-1)
        parts = []
        for start in range(0, len(images), self.batch):
            pixels = np.ascontiguousarray(images[start : start + self.batch], self._dtype)
            parts.append(self._request.infer([pixels])[0].copy())
        return np.concatenate(parts).astype(np.float32, copy=False)
