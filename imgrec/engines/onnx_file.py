"""A `.onnx` file in ONNX Runtime; neither TensorFlow nor Keras is imported."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgrec.artefact import SCORES
from imgrec.errors import InputError
from imgrec.extras import require
from imgrec.processors import has_vnni

BATCH = 32
"""Images that it takes at a time."""
PROVIDERS = ("CPUExecutionProvider",)
EXACT = "session.x64quantprecision"
"""Without VNNI a product of uint8 and int8 may overflow in AVX2's instructions; this asks for others, which
take twice the time: 7.8 ms for 4.2, an int8 MobileNetV2 at 224 px."""
_PIXELS = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class OnnxFile:
    """An `Engine`."""

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        """Open a file.

        Raises:
            InputError: no ONNX Runtime, a damaged file, or one that takes or gives something else than
                images and their outputs.
        """
        ort = require("onnxruntime", "onnx", f"{path}: a .onnx file")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if not has_vnni():
            options.add_session_config_entry(EXACT, "1")
        if num_threads:
            options.intra_op_num_threads = num_threads
        try:
            self._session = ort.InferenceSession(str(path), options, providers=list(PROVIDERS))
        except Exception as error:  # a dozen classes, whose only common base this is
            raise InputError(f"{path}: not an ONNX file that can be run here: {_first(error)}") from None
        given, made = self._session.get_inputs(), self._session.get_outputs()
        if len(given) != 1 or len(made) != 1 or len(given[0].shape) != 4 or len(made[0].shape) < 2:
            shapes = [[part.shape for part in parts] for parts in (given, made)]
            raise InputError(f"{path}: takes {shapes[0]} and gives {shapes[1]}, expected images and outputs")
        (self._input,), (self._output,) = given, made
        sides = (*self._input.shape[1:], *self._output.shape[1:])
        if self._input.type not in _PIXELS or not all(isinstance(side, int) for side in sides):
            raise InputError(
                f"{path}: takes {self._input.type} {self._input.shape}, expected uint8 or float32 pixels "
                "0…255, [N, H, W, C]"
            )
        self.image, self.outputs = tuple(self._input.shape[1:]), tuple(self._output.shape[1:])
        self.scored = self._output.name == SCORES
        self.texts = dict(self._session.get_modelmeta().custom_metadata_map)
        fixed = self._input.shape[0]
        self.batch = fixed if isinstance(fixed, int) else BATCH

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 `[N, *outputs]` of uint8 `[N, H, W, C]`, N ≥ 1; grey images are repeated."""
        if images.shape[-1] == 1 and self.image[-1] == 3:
            images = np.repeat(images, 3, axis=-1)
        pixels = images.astype(_PIXELS[self._input.type], copy=False)
        parts = [
            self._session.run([self._output.name], {self._input.name: pixels[start : start + self.batch]})[0]
            for start in range(0, len(pixels), self.batch)
        ]
        return np.concatenate(parts).astype(np.float32, copy=False)


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
