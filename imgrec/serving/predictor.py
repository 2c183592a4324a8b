"""One call from images to probabilities, for a run folder or a shipped file alike.

A `.tflite` is run by LiteRT: neither TensorFlow nor Keras is imported for it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec import bundle
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError

Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 images [N, H, W, C] → float32 logits [N, num_classes]."""


class Predictor:
    """A model with the preprocessing and the class names it was trained with.

    Attributes:
        preprocess: how a file becomes the model's pixels.
        labels: the class names, in the order of the probabilities.
        several: whether an image may have several of them: each has a probability of its own.
    """

    def __init__(self, answer: Answer, preprocess: Preprocess, labels: tuple[str, ...]) -> None:
        self.preprocess = preprocess
        self.labels = labels
        self.several = preprocess.labels == "several"
        self._answer = answer

    @classmethod
    def load(cls, path: Path | str) -> "Predictor":
        """Load a run folder (its Keras model) or a `.tflite` file (without TensorFlow).

        A `.tflite` in the `exports/` of a run folder is checked against the run's manifest. Anywhere
        else, `preprocess.json` and `labels.txt` have to lie beside it, as they do in `exports/`.

        Raises:
            InputError: no such path, another kind of file, a damaged one, one whose preprocessing or
                labels are missing or do not fit, or a run folder without or against its manifest.
        """
        path = Path(path)
        if path.suffix == ".tflite":
            if not path.is_file():
                raise InputError(f"{path}: no such file{_exports_beside(path)}")
            preprocess, labels = _companions(path)
            return cls(LiteRTModel(path, preprocess, len(labels)), preprocess, labels)
        if path.is_file():
            raise InputError(f"{path}: expected a run folder or a .tflite file")
        if path.is_dir() and not (path / bundle.MANIFEST).exists() and _files(path):
            raise InputError(f"{path}: holds exported files, name one of them: {', '.join(_files(path))}")
        loaded = bundle.load(path)
        return cls.of_model(loaded.model, loaded.preprocess, loaded.labels)

    @classmethod
    def of_model(cls, model: Any, preprocess: Preprocess, labels: tuple[str, ...]) -> "Predictor":
        """Take a Keras model of uint8-valued pixels to logits, as `build_model` makes it.

        Raises:
            InputError: its input is not of the size that `preprocess` gives, or it has not a logit a label.
        """
        if model.input_shape[1:] != preprocess.shape or model.output_shape[1:] != (len(labels),):
            raise InputError(
                f"a model of input {_list(model.input_shape[1:])} and {model.output_shape[-1]} logits: "
                f"expected {_list(preprocess.shape)} and {len(labels)}, one for each label"
            )
        return cls(_keras_answer(model), preprocess, labels)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, float32 [N, num_classes] in 0…1, of preprocessed images.

        Those of an image sum to one, unless it may have several labels.

        Args:
            images: uint8 [N, H, W, C] as `preprocess` gives them; N may be 0.

        Raises:
            InputError: another dtype or shape.
        """
        expected = self.preprocess.shape
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise InputError(
                f"images of dtype {images.dtype} and shape {images.shape}: expected uint8 "
                f"[N, {', '.join(map(str, expected))}]; Preprocess.on_array brings an image to it"
            )
        if not len(images):
            return np.empty((0, len(self.labels)), np.float32)
        return (sigmoid if self.several else softmax)(self._answer(images))

    def predict_files(self, paths: Iterable[Path | str], batch_size: int = 64) -> NDArray[np.float32]:
        """Return the probabilities, float32 [N, num_classes], of image files, in the order given.

        At most `batch_size` decoded images are in memory at a time.

        Raises:
            InputError: a file that is missing, no image, or over the pixel cap (named).
        """
        files = list(paths)
        parts = [np.empty((0, len(self.labels)), np.float32)]
        for start in range(0, len(files), batch_size):
            images = [self.preprocess.on_file(file) for file in files[start : start + batch_size]]
            parts.append(self.predict(np.stack(images)))
        return np.concatenate(parts)


class LiteRTModel:
    """A `.tflite` file as a function of uint8 images [N, H, W, C] to float32 logits [N, num_classes]."""

    def __init__(self, path: Path, preprocess: Preprocess, num_classes: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_path=str(path))
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path}: not a TFLite file that can be run here: {error}") from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise InputError(
                f"{path}: {len(inputs)} inputs and {len(outputs)} outputs, "
                "expected one image in and one row of logits out"
            )
        self._input, self._output = inputs[0], outputs[0]
        self._check(path, preprocess, num_classes)

    def _check(self, path: Path, preprocess: Preprocess, num_classes: int) -> None:
        shape, expected = tuple(self._input["shape"]), (1, *preprocess.shape)
        if shape != expected:
            raise InputError(
                f"{path}: takes images of shape {_list(shape)}, preprocess.json gives {_list(expected)}; "
                "it belongs to another file"
            )
        if self._input["dtype"] not in (np.uint8, np.float32):
            raise InputError(
                f"{path}: takes {np.dtype(self._input['dtype']).name} pixels, "
                "expected uint8 or float32 in 0…255"
            )
        answers = tuple(self._output["shape"])
        if answers != (1, num_classes):
            raise InputError(
                f"{path}: gives {_list(answers)} values, labels.txt names {num_classes} classes; "
                "it belongs to another file"
            )

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the images one by one (the file's batch is fixed to 1)."""
        return np.concatenate([self._one(image) for image in images])

    def _one(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = image[None].astype(self._input["dtype"])
        self._interpreter.set_tensor(self._input["index"], pixels)
        self._interpreter.invoke()
        row = self._interpreter.get_tensor(self._output["index"])
        if np.issubdtype(row.dtype, np.floating):
            return row.astype(np.float32)
        scale, zero_point = self._output["quantization"]
        return np.float32(scale) * (row.astype(np.float32) - zero_point)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities, float32 [N, C], of finite logits of any size, summing to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of each label by itself, float32 [N, C], of finite logits of any size."""
    return (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))).astype(np.float32)


def _keras_answer(model: Any) -> Answer:
    """Return the Keras model as a function of uint8 images, in batches of one shape."""

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model.predict(images.astype(np.float32), batch_size=32, verbose=0), np.float32)

    return answer


def _companions(path: Path) -> tuple[Preprocess, tuple[str, ...]]:
    """Return the preprocessing and labels that belong to a `.tflite` file."""
    run = path.absolute().parent.parent
    # A lone manifest.json is no proof of a run folder: web applications have one, too.
    if path.absolute().parent.name == "exports" and all(
        (run / n).is_file() for n in ("run.json", bundle.MANIFEST)
    ):
        whole = bundle.read(run)
        return whole.preprocess, whole.labels
    missing = [name for name in ("preprocess.json", "labels.txt") if not (path.parent / name).is_file()]
    if missing:
        raise InputError(
            f"{path}: no {' and no '.join(missing)} beside it; "
            "copy what is missing from the run's exports folder"
        )
    text = (path.parent / "preprocess.json").read_text(encoding="utf-8")
    return Preprocess.from_json(text), bundle.read_labels(path.parent / "labels.txt")


def _files(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.glob("*.tflite"))


def _exports_beside(path: Path) -> str:
    """Return a hint that names the files that do lie there."""
    found = _files(path.parent) if path.parent.is_dir() else []
    return f"; there are: {', '.join(found)}" if found else ""


def _list(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(str(int(size)) for size in shape)}]"
