"""One call from images to what they show, for a run folder or a shipped file alike.

A `.tflite` is run by LiteRT: neither TensorFlow nor Keras is imported for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgrec import bundle, runtimes, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.runtimes import Runtime
from imgrec.tasks.task import Task

if TYPE_CHECKING:
    import keras

BATCH = 64
"""At most this many decoded images are in memory at a time."""


class Predictor:
    """A model with the preprocessing and the task it was trained with.

    Attributes:
        runtime: uint8 images to outputs.
        preprocess: how a file becomes the model's pixels.
        task: what the outputs mean.
    """

    def __init__(self, runtime: Runtime, preprocess: Preprocess, task: Task) -> None:
        """Put together what belongs together.

        Raises:
            InputError: the model takes images of another size, or has not as many outputs as the task.
        """
        for verb, found, file, expected in (
            ("takes images", runtime.image, "preprocess.json", preprocess.shape),
            ("gives outputs", runtime.outputs, "labels.txt", (task.outputs,)),
        ):
            if found != expected:
                raise InputError(
                    f"{runtime.name}: {verb} of shape {_list(found)}, {file} asks for {_list(expected)}; "
                    "they belong to another model"
                )
        self.runtime, self.preprocess, self.task = runtime, preprocess, task

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the outputs."""
        return self.task.classes

    @classmethod
    def load(cls, path: Path | str) -> "Predictor":
        """Load a run folder (its Keras model) or an exported file (a `.tflite` without TensorFlow).

        A file in the `exports/` of a run folder is checked against the run's manifest. Anywhere else,
        `preprocess.json` and `labels.txt` have to lie beside it, and `task.json` where there was one, as
        they do in `exports/`.

        Raises:
            InputError: no such path, another kind of file, a damaged one, one whose preprocessing or
                labels are missing or do not fit, or a run folder without or against its manifest.
        """
        path = Path(path)
        if runtimes.kind_of(path) == runtimes.RUN:
            loaded = bundle.load(path)
            return cls.of_model(loaded.model, loaded.preprocess, loaded.task)
        return cls(runtimes.open_runtime(path), *_companions(path))

    @classmethod
    def of_model(cls, model: "keras.Model", preprocess: Preprocess, task: Task) -> "Predictor":
        """Take a Keras model of pixels in 0…255, as `build_model` makes it. Raises as the class."""
        return cls(runtimes.of_model(model), preprocess, task)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return `task.scores`, float32 `[N, outputs]`, of preprocessed images: probabilities of classes.

        Args:
            images: uint8 `[N, H, W, C]` as `preprocess` gives them; N may be 0.

        Raises:
            InputError: another dtype or shape.
        """
        return self.task.scores(self.outputs(images))

    def outputs(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the model's outputs as they are, float32 `[N, outputs]`; as `predict`."""
        expected = self.preprocess.shape
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise InputError(
                f"images of dtype {images.dtype} and shape {images.shape}: expected uint8 "
                f"[N, {', '.join(map(str, expected))}]; Preprocess.on_array brings an image to it"
            )
        if not len(images):
            return np.empty((0, self.task.outputs), np.float32)
        return self.runtime.answer(images)

    def predict_files(self, paths: Iterable[Path | str], batch_size: int = BATCH) -> NDArray[np.float32]:
        """Return `task.scores`, float32 `[N, outputs]`, of image files, in the order given.

        Raises:
            InputError: a file that is missing, no image, or over the pixel cap (named).
        """
        return self.task.scores(self._outputs_of(list(paths), batch_size))

    def answers(self, paths: Sequence[Path | str], top: int = 5) -> Iterator[dict[str, Any]]:
        """Give `task.decode` of each image file, with its name as `image`; raises as `predict_files`."""
        for start in range(0, len(paths), BATCH):
            files = list(paths[start : start + BATCH])
            answers = self.task.decode(self._outputs_of(files, BATCH), top)
            yield from ({"image": str(file), **answer} for file, answer in zip(files, answers, strict=True))

    def _outputs_of(self, files: list[Path | str], batch_size: int) -> NDArray[np.float32]:
        parts = [np.empty((0, self.task.outputs), np.float32)]
        for start in range(0, len(files), batch_size):
            images = [self.preprocess.on_file(file) for file in files[start : start + batch_size]]
            parts.append(self.outputs(np.stack(images)))
        return np.concatenate(parts)


def _companions(path: Path) -> tuple[Preprocess, Task]:
    """Return the preprocessing and the task that belong to an exported file."""
    folder = path.absolute().parent
    # A lone manifest.json is no proof of a run folder: web applications have one, too.
    if folder.name == "exports" and all(
        (folder.parent / name).is_file() for name in ("run.json", bundle.MANIFEST)
    ):
        whole = bundle.read(folder.parent)
        return whole.preprocess, whole.task
    missing = [name for name in ("preprocess.json", "labels.txt") if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{path}: no {' and no '.join(missing)} beside it; "
            "copy what is missing from the run's exports folder"
        )
    text = (folder / "preprocess.json").read_text(encoding="utf-8")
    return Preprocess.from_json(text), tasks.read(folder)


def _list(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(str(size) for size in shape)}]"
