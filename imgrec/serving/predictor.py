"""One call from images to what they show, for a run folder or a shipped file alike.

A `.tflite` is run by LiteRT: neither TensorFlow nor Keras is imported for it, nor for a run folder whose
float32 file was proven to give the model's answers.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgrec import bundle, runtimes, tasks
from imgrec.data.preprocess import FILE as PREPROCESS
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.guards import foreign
from imgrec.guards.documents import read_json, read_text
from imgrec.metrics import fusing
from imgrec.metrics.answers import sigmoid, softmax
from imgrec.processors import cores
from imgrec.runtimes import Runtime
from imgrec.tasks.task import Task
from imgrec.unknown.detector import Detector
from imgrec.unknown.detector import line as unknown_line
from imgrec.unknown.scores import Seen
from imgrec.unknown.stored import read as read_unknown

if TYPE_CHECKING:
    import keras

BATCH = 64
"""At most this many decoded images are in memory at a time."""
ROUNDING = 2.5e-4
"""Scores of the same float32 network, run in another order of additions, are at most this far apart."""
_FILE = "exports/float32.tflite"


class Predictor:
    """A model with the preprocessing and the task it was trained with.

    Attributes:
        runtime: uint8 images to outputs.
        preprocess: how a file becomes the model's pixels.
        task: what the outputs mean.
        unknown: tells images unlike the training ones, where the run has that.
    """

    def __init__(
        self, runtime: Runtime, preprocess: Preprocess, task: Task, unknown: Detector | None = None
    ) -> None:
        """Put together what belongs together.

        Raises:
            InputError: the model takes images of another size, or has not as many outputs as the task.
        """
        for fits, verb, found, file, expected in (
            (runtime.takes, "takes images", runtime.image, "preprocess.json", preprocess.shape),
            (runtime.outputs.__eq__, "gives outputs", runtime.outputs, "labels.txt", (task.outputs,)),
        ):
            if not fits(expected):
                raise InputError(
                    f"{runtime.name}: {verb} of shape {_list(found)}, {file} asks for {_list(expected)}; "
                    "they belong to another model"
                )
        self.runtime, self.preprocess, self.task, self.unknown = runtime, preprocess, task, unknown

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the outputs."""
        return self.task.classes

    @property
    def parts(self) -> tuple[Runtime, Preprocess, Task]:
        """What answers, how it takes images, and what its outputs mean: for `imgrec.explain`."""
        return self.runtime, self.preprocess, self.task

    @classmethod
    def load(cls, path: Path | str, keras_itself: bool = False, threads: int | None = None) -> "Predictor":
        """Load a run folder or an exported file.

        A `.tflite` is run without TensorFlow. So is a run folder whose `float32.tflite` gave the Keras
        model's answers for every image that the gate measured, by its metrics.json; else, or with
        `keras_itself`, the Keras model is loaded. A file in the `exports/` of a run folder is checked
        against the run's manifest; any other answers once in a process of its own first, so that a damaged
        one cannot end this one. There, `preprocess.json` and `labels.txt` have to lie beside
        it, and `task.json` where there was one, as they do in `exports/`, or be inside it. `threads` is for
        interpreters; None leaves them their choice, and a run folder's file all processors.

        Raises:
            InputError: no such path, another kind of file, a damaged one, one whose preprocessing or
                labels are missing or do not fit, or a run folder without or against its manifest.
        """
        path = Path(path)
        if runtimes.kind_of(path) != runtimes.RUN:
            whole = _run_of(path)
            if whole is None:
                foreign.check(path)  # what the manifest of a run vouches for needs none
            runtime = runtimes.open_runtime(path, threads)
            preprocess, task = (whole.preprocess, whole.task) if whole else _companions(path, runtime.texts)
            folder = whole.path if whole else path.absolute().parent
            return cls(runtime, preprocess, task, read_unknown(folder, task.outputs))
        whole = bundle.read(path)
        unknown = read_unknown(whole.path, whole.task.outputs)
        if not keras_itself and file_answers(whole):
            runtime = runtimes.open_tflite(whole.path / _FILE, threads or cores())
            return cls(runtime, whole.preprocess, whole.task, unknown)
        return cls.of_model(bundle.build_trained(whole), whole.preprocess, whole.task, unknown)

    @classmethod
    def of_model(
        cls, model: "keras.Model", preprocess: Preprocess, task: Task, unknown: Detector | None = None
    ) -> "Predictor":
        """Take a Keras model of pixels in 0…255, as `build_model` makes it. Raises as the class."""
        return cls(runtimes.of_model(model), preprocess, task, unknown)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return `task.scores`, float32 `[N, S]`, of preprocessed images: probabilities of classes.

        Args:
            images: uint8 `[N, H, W, C]` as `preprocess` gives them; N may be 0.

        Raises:
            InputError: another dtype or shape.
        """
        self._check(images)
        if not len(images):
            return self.task.scores(np.empty((0, self.task.outputs), np.float32))
        return self.runtime.scores_of(self.runtime.answer(images), self.task)

    def _check(self, images: NDArray[np.uint8]) -> None:
        expected = self.preprocess.shape
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise InputError(
                f"images of dtype {images.dtype} and shape {images.shape}: expected uint8 "
                f"[N, {', '.join(map(str, expected))}]; Preprocess.on_array brings an image to it"
            )

    def seen(self, images: NDArray[np.uint8]) -> Seen:
        """Return `predict`'s scores, and what tells unknown images, where the run has that.

        Raises:
            InputError: as `predict`.
        """
        inside = self.runtime.inside
        if self.unknown is None or self.unknown.known is None or inside is None or not len(images):
            return Seen(self.predict(images))
        self._check(images)
        outputs, features = inside(images)
        scores = self.runtime.scores_of(outputs, self.task)
        return Seen(scores, None if self.runtime.scored else outputs, features)

    def decoded(self, seen: Seen, top: int = 5) -> list[dict[str, Any]]:
        """Return `task.decode` of each image, with what `Detector.told` adds where there is one."""
        answers = self.task.decode(seen.scores, top)
        if self.unknown is None:
            return answers
        return [{**one, **more} for one, more in zip(answers, self.unknown.told(seen), strict=True)]

    def line(self, answer: Mapping[str, Any]) -> str:
        """Return one of `answers` as text of one line."""
        return self.task.line(answer) + unknown_line(answer)

    def predict_files(self, paths: Iterable[Path | str], batch_size: int = BATCH) -> NDArray[np.float32]:
        """Return `task.scores`, float32 `[N, S]`, of image files, in the order given.

        Raises:
            InputError: a file that is missing, no image, or over the pixel cap (named).
        """
        files, shape = list(paths), (0, *self.preprocess.shape)
        parts = [self.predict(np.empty(shape, np.uint8))]
        for start in range(0, len(files), batch_size):
            images = [self.preprocess.on_file(file) for file in files[start : start + batch_size]]
            parts.append(self.predict(np.stack(images)))
        return np.concatenate(parts)

    def answers(self, paths: Iterable[Path | str], top: int = 5) -> Iterator[dict[str, Any]]:
        """Give `path` and `task.decode` of each image file, in order, as they come.

        Of an ensemble's Keras model also `uncertainty`, how far its networks are apart: `fusing.Spread`.

        A file that cannot be read has `error`, the reason, in place of an answer.
        """
        rest = iter(paths)
        while files := list(islice(rest, self.runtime.batch)):
            read = [self.prepared(file) for file in files]
            images = [pixels for pixels in read if isinstance(pixels, np.ndarray)]
            shape = (0, *self.preprocess.shape)
            seen = self.seen(np.stack(images) if images else np.empty(shape, np.uint8))
            decoded = iter(self.decoded(seen, top))
            apart = self._apart(images)
            for file, pixels in zip(files, read, strict=True):
                answer = {"error": pixels} if isinstance(pixels, str) else next(decoded)
                apart_here = next(apart, None) if "error" not in answer else None
                more = {"uncertainty": apart_here} if apart_here else {}
                yield {"path": str(file), **answer, **more}

    def _apart(self, images: list[NDArray[np.uint8]]) -> Iterator[dict[str, float]]:
        """Give how far an ensemble's networks are apart on each of some images; nothing of other models."""
        if self.runtime.members is None or not images:
            return
        outputs = self.runtime.members(np.stack(images))
        of = softmax if self.task.activation == "softmax" else sigmoid
        found = fusing.spread(np.stack([of(each) for each in outputs]), self.task.activation)
        yield from (found.row(index) for index in range(len(images)))

    def prepared(self, file: Path | str) -> NDArray[np.uint8] | str:
        """Return the model's pixels of a file, or why there are none."""
        try:
            return self.preprocess.on_file(file)
        except InputError as fault:
            return str(fault).removeprefix(f"{file}: ")


def file_answers(whole: bundle.Bundle) -> bool:
    """Whether the run's float32 file was found to answer as its Keras model, but for rounding."""
    if not {_FILE, "metrics.json"} <= set(whole.manifest):
        return False
    measured = read_json(whole.path / "metrics.json").get("exports", {})
    name = Path(_FILE).stem
    try:
        failed = any(failure.startswith(f"{name}:") for failure in measured.get("failures", ()))
        rows = [row for row in measured.get("files", ()) if row["name"] == name]
        agrees = [row["agreement"] == 1 and row["max_abs_difference"] <= ROUNDING for row in rows]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{whole.path}: metrics.json is not what the gate wrote ({type(error).__name__}: {error}); "
            "restore the folder"
        ) from None
    return agrees == [True] and not failed


def _run_of(path: Path) -> bundle.Bundle | None:
    """Return the run in whose `exports/` a file lies, verified; None of a file that lies elsewhere."""
    folder = path.absolute().parent
    # A lone manifest.json is no proof of a run folder: web applications have one, too.
    if folder.name == "exports" and all(
        (folder.parent / name).is_file() for name in ("run.json", bundle.MANIFEST)
    ):
        return bundle.read(folder.parent)
    return None


def _companions(path: Path, inside: Mapping[str, str]) -> tuple[Preprocess, Task]:
    """Return the preprocessing and the task of an exported file, which lie beside or inside it."""
    folder = path.absolute().parent
    missing = [name for name in (PREPROCESS, tasks.LABELS) if not (folder / name).is_file()]
    if missing and not {PREPROCESS, tasks.LABELS} - set(inside):
        return Preprocess.from_json(inside[PREPROCESS]), tasks.from_texts(inside, path)
    if missing:
        raise InputError(
            f"{path}: no {' and no '.join(missing)} beside it or inside; "
            "copy what is missing from the run's exports folder"
        )
    preprocess = Preprocess.from_json(read_text(folder / PREPROCESS))
    if PREPROCESS in inside and Preprocess.from_json(inside[PREPROCESS]) != preprocess:
        raise InputError(
            f"{path}: {PREPROCESS} beside it is not the one that it was made with; they are of two models"
        )
    return preprocess, tasks.read(folder)


def _list(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(str(size) for size in shape)}]"
