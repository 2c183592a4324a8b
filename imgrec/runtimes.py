"""Open a run folder or an exported file: uint8 images in, the model's outputs or their scores out.

A file is run by its own interpreter: neither TensorFlow nor Keras is imported for a `.tflite`.
"""

import functools
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgrec import bundle
from imgrec.artefact import SCORES
from imgrec.data.preprocess import FILE as PREPROCESS
from imgrec.data.preprocess import Preprocess
from imgrec.engines.engine import Engine
from imgrec.engines.onnx_file import OnnxFile
from imgrec.engines.openvino_folder import GRAPH, OpenVinoModel
from imgrec.engines.saved_model import SavedModel
from imgrec.engines.versions import newest, texts_in
from imgrec.errors import InputError
from imgrec.frameworks import without_banners
from imgrec.tasks.task import Task

if TYPE_CHECKING:
    import keras

_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError)
"""What reading a damaged zip may raise."""
MOST_BYTES = 4_000_000
"""Of all texts inside a file: names of 1,000 classes take about 15,000."""
_DENSE = "FULLY_CONNECTED"
"""What TFLite calls a dense layer; a network's last one is its head."""
BATCH = 32
"""Images that a Keras model takes at a time."""
RUN = ""
"""Stands for a run folder where files have their ending."""

Inside = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32] | None]]
"""See `Runtime.inside`."""


@dataclass(frozen=True)
class Runtime:
    """A model that is ready to answer, whatever runs it.

    name: what messages call it: a path, or the model's name.
    image: shape of an image that it takes, (H, W, C); where C is 3, images of one channel are repeated.
    outputs: shape of what it gives for an image.
    answer: uint8 images `[N, H, W, C]`, N ≥ 1 → float32 `[N, *outputs]`.
    batch: how many images it takes at a time; more of them are no faster.
    scored: whether it gives the task's scores, not outputs that they are made of.
    texts: what the file says of itself, text by name as in `exports/`; a run folder has files.
    model: the Keras model that answers, where one does: what has gradients and layers to look into.
    inside: the same images → what `answer` gives for them, and what its last layer is given, float32
        `[N, D]`, or None where that cannot be seen; None where nothing can look inside.
    members: of an ensemble's Keras model, images as `answer` takes them → every network's own outputs,
        float32 `[K, N, *outputs]`; None of all else.
    """

    name: str
    image: tuple[int, ...]
    outputs: tuple[int, ...]
    answer: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    batch: int = 1
    scored: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    model: "keras.Model | None" = None
    inside: Inside | None = None
    members: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None

    def takes(self, image: tuple[int, ...]) -> bool:
        """Whether it answers for images of shape (H, W, C): its own, or grey ones for a file that says so."""
        grey = PREPROCESS in self.texts and Preprocess.from_json(self.texts[PREPROCESS]).colour == "grey"
        return image == ((*self.image[:-1], 1) if grey and self.image[-1:] == (3,) else self.image)

    def scores_of(self, outputs: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
        """Return the scores, float32 `[N, S]`, of what `answer` or `timed` gave."""
        return outputs if self.scored else task.scores(outputs)

    def timed(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the outputs `[N, *outputs]` of images that come one at a time, and each one's seconds."""
        outputs = np.empty((len(images), *self.outputs), np.float32)
        seconds = np.empty(len(images))
        for index in range(len(images)):
            start = time.perf_counter()
            outputs[index] = self.answer(images[index : index + 1])[0]
            seconds[index] = time.perf_counter() - start
        return outputs, seconds


class _Interpreter:
    """A `.tflite` file in LiteRT: one image at a time, as the file's batch is fixed to 1."""

    def __init__(self, path: Path, num_threads: int | None, inside: bool = False) -> None:
        """Open a file; `inside` keeps what its layers give, for `look`."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            with without_banners(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that what is kept takes memory: it is meant
                self._interpreter = Interpreter(
                    model_path=str(path),
                    num_threads=num_threads,
                    experimental_preserve_all_tensors=inside,
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path}: not a TFLite file that can be run here: {error}") from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shapes = [[tuple(map(int, part["shape"])) for part in parts] for parts in (inputs, outputs)]
        if any(len(part) != 1 or part[0][:1] != (1,) for part in shapes):
            raise InputError(
                f"{path}: takes {shapes[0]} and gives {shapes[1]}, expected one image in and its outputs out"
            )
        (self._input,), (self._output,) = inputs, outputs
        self.image, self.outputs = shapes[0][0][1:], shapes[1][0][1:]
        self.scored = self._output["name"] == SCORES
        if self._input["dtype"] not in (np.uint8, np.float32):
            raise InputError(
                f"{path}: takes {np.dtype(self._input['dtype']).name} pixels, "
                "expected uint8 or float32 in 0…255"
            )

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = []
        if images.shape[-1] == 1 and self.image[-1] == 3:
            images = np.repeat(images, 3, axis=-1)
        for pixels in images.astype(self._input["dtype"], copy=False):
            self._interpreter.set_tensor(self._input["index"], pixels[None])
            self._interpreter.invoke()
            rows.append(self._interpreter.get_tensor(self._output["index"]))
        return _as_floats(np.concatenate(rows), self._output)

    def look(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the outputs, and what the last dense layer is given, None where the file has none."""
        dense = [each for each in self._interpreter._get_ops_details() if each["op_name"] == _DENSE]
        if not dense:
            return self(images), None
        number = int(dense[-1]["inputs"][0])
        given = next(each for each in self._interpreter.get_tensor_details() if each["index"] == number)
        outputs, features = [], []
        for index in range(len(images)):
            outputs.append(self(images[index : index + 1]))
            features.append(self._interpreter.get_tensor(number).reshape(1, -1))
        return np.concatenate(outputs), _as_floats(np.concatenate(features), given)


def _as_floats(values: NDArray[Any], tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return what whole numbers of a file's tensor stand for; numbers of another kind as they are."""
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(np.float32, copy=False)
    scale, zero_point = tensor["quantization"]
    return np.float32(scale) * (values.astype(np.float32) - zero_point)


def open_tflite(path: Path, num_threads: int | None = None) -> Runtime:
    """Open a TFLite file.

    Raises:
        InputError: it is damaged, or takes or gives something else than an image and its outputs.
    """
    interpreter = _Interpreter(path, num_threads)
    shapes = (interpreter.image, interpreter.outputs)

    @functools.cache
    def seeing() -> _Interpreter:
        return _Interpreter(path, num_threads, inside=True)  # only where it is asked for: it takes memory

    def inside(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        return seeing().look(images)

    scored, texts = interpreter.scored, _texts_in(path)
    return Runtime(str(path), *shapes, interpreter, scored=scored, texts=texts, inside=inside)


def _texts_in(path: Path) -> dict[str, str]:
    """Return the texts of the zip behind a TFLite file; none where there is no such.

    Raises:
        InputError: there is one, and it is damaged or larger than names and settings are.
    """
    if not zipfile.is_zipfile(path):
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            held = archive.infolist()
            if sum(entry.file_size for entry in held) > MOST_BYTES:
                raise InputError(f"{path}: more than {MOST_BYTES:,} bytes of texts inside; export it again")
            return {entry.filename: archive.read(entry).decode("utf-8") for entry in held}
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{path}: the names inside cannot be read ({error}); export it again") from None


def open_run(path: Path, num_threads: int | None = None) -> Runtime:
    """Open a run folder's Keras model, on as many threads as Keras takes. Raises as `bundle.load`."""
    return of_model(bundle.load(path).model)


def of_model(model: "keras.Model") -> Runtime:
    """Take a Keras model of pixels in 0…255, as `build_model` makes it; it answers in batches of `BATCH`."""

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model.predict(images.astype(np.float32), batch_size=BATCH, verbose=0), np.float32)

    @functools.cache
    def look() -> Inside:
        from imgrec.models.inside import look_inside

        return look_inside(model)

    def inside(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        parts = [look()(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        outputs, features = zip(*parts, strict=True)
        return np.concatenate(outputs), None if features[0] is None else np.concatenate(features)

    shapes = (tuple(model.input_shape[1:]), tuple(model.output_shape[1:]))
    return Runtime(model.name, *shapes, answer, BATCH, inside=inside, model=model, members=_members(model))


def _members(model: "keras.Model") -> Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None:
    """Return what gives the outputs of every network of an ensemble; None of any other model."""
    from imgrec.models.ensemble import fusion, spread_out

    if fusion(model) is None:
        return None
    every = spread_out(model)

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = every.predict(images.astype(np.float32), batch_size=BATCH, verbose=0)
        return np.asarray(outputs[1:], np.float32)

    return answer


def open_onnx(path: Path, num_threads: int | None = None) -> Runtime:
    """Open an ONNX file in ONNX Runtime. Raises as `OnnxFile`."""
    return _of_engine(path, OnnxFile(path, num_threads))


def open_saved_model(path: Path, num_threads: int | None = None) -> Runtime:
    """Open a SavedModel, on as many threads as TensorFlow takes. Raises as `SavedModel`."""
    return _of_engine(path, SavedModel(path))


def open_triton(path: Path, num_threads: int | None = None) -> Runtime:
    """Open the ONNX file in a Triton model repository of one model. Raises as `OnnxFile`."""
    models = [each.parent for each in path.glob("*/config.pbtxt")]
    if len(models) != 1:
        raise InputError(f"{path}: {len(models)} models with a config.pbtxt, expected one")
    return _of_engine(path, OnnxFile(newest(models[0]) / "model.onnx", num_threads))


def open_openvino(path: Path, num_threads: int | None = None) -> Runtime:
    """Open a folder of OpenVINO's files. Raises as `OpenVinoModel`."""
    folder = newest(path)
    return _of_engine(path, OpenVinoModel(folder / GRAPH, num_threads), texts_in(folder))


def _of_engine(path: Path, engine: Engine, texts: Mapping[str, str] | None = None) -> Runtime:
    told = engine.texts if texts is None else texts
    return Runtime(str(path), engine.image, engine.outputs, engine, engine.batch, engine.scored, told)


RUNTIMES: dict[str, Callable[[Path, int | None], Runtime]] = {
    RUN: open_run,
    ".tflite": open_tflite,
    ".onnx": open_onnx,
    ".savedmodel": open_saved_model,
    ".triton": open_triton,
    ".openvino": open_openvino,
}
"""What opens a path, by its ending; a format of one's own is one entry more."""


def open_runtime(path: Path | str, num_threads: int | None = None) -> Runtime:
    """Open what lies at `path`; `num_threads` is for interpreters, by default what they choose.

    Raises:
        InputError: as `kind_of`, or a damaged file or folder.
    """
    return RUNTIMES[kind_of(Path(path))](Path(path), num_threads)


def kind_of(path: Path) -> str:
    """Return the key in `RUNTIMES` of what lies at `path`; RUN also where nothing does.

    Raises:
        InputError: no such file, another kind of file, or a folder of exported files that is no run.
    """
    if path.suffix != RUN and path.suffix in RUNTIMES:
        if not path.exists():
            found = _files(path.parent)
            raise InputError(f"{path}: no such file" + (f"; there are: {', '.join(found)}" if found else ""))
        return path.suffix
    if path.is_file():
        known = " or ".join(f"a {ending} file" for ending in RUNTIMES if ending != RUN)
        raise InputError(f"{path}: expected a run folder or {known}")
    if not (path / bundle.MANIFEST).exists() and (found := _files(path)):
        raise InputError(f"{path}: holds exported files, name one of them: {', '.join(found)}")
    return RUN


def _files(folder: Path) -> list[str]:
    endings = set(RUNTIMES) - {RUN}
    return sorted(str(file) for file in folder.glob("*") if file.suffix in endings)
