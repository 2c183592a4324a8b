"""Finished runs that teach: found fit for it, opened, and what they say of training images kept on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from imgrec import bundle, runtime
from imgrec.bundle import Bundle
from imgrec.config import DataConfig
from imgrec.data.pipeline import Feed
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.errors import InputError
from imgrec.learning.features import Features, cached_features
from imgrec.tasks.task import Task
from imgrec.training.phase import Stream

WEIGHTS = "model.keras"
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey: ITU-R 601, as preprocessing has it."""


def paths(names: str) -> list[Path]:
    """Return the run folders that a line names, joined by commas.

    Raises:
        InputError: there is a comma too many.
    """
    parts = [part.strip() for part in names.split(",")]
    if not all(parts):
        raise InputError(f"--teacher {names!r}: expected run folders, joined by commas")
    return [Path(part) for part in parts]


def read(names: str, task: Task) -> list[Bundle]:
    """Return the runs that a line of paths names; each is verified.

    Raises:
        InputError: one is no finished run, or of another task or other classes than `task`.
    """
    return [_fit_for(bundle.read(path), task) for path in paths(names)]


def _fit_for(run: Bundle, task: Task) -> Bundle:
    if task.activation not in ("softmax", "sigmoid"):
        raise InputError(f"--teacher: outputs of the task {task.name} are no probabilities: leave it out")
    if run.task.name != task.name:
        raise InputError(
            f"--teacher {run.path}: its task is {run.task.name}, and that of these labels {task.name}: name "
            "a run of that task, or --task"
        )
    theirs, ours = set(run.labels), set(task.classes)
    if theirs != ours:
        parts = {"it lacks": ours - theirs, "it knows, the data does not,": theirs - ours}
        said = "; ".join(f"{what} {_few(names)}" for what, names in parts.items() if names)
        raise InputError(f"--teacher {run.path}: other classes: {said}: name a run of the same classes")
    return run


def _few(names: set[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(sorted(names)[:4]) + more


def record(run: Bundle) -> dict[str, Any]:
    """Return what the student's run.json has of a teacher."""
    return {
        "path": str(run.path),
        "fingerprint": run.manifest[WEIGHTS],
        "model": run.run["model"],
        "data": run.run["data"]["fingerprint"],
    }


def check_view(run: Bundle, data: DataConfig) -> None:
    """Make sure that a teacher can be shown the very images that the student sees.

    Size and colour are brought to its own; how an image is laid out, or mended, cannot be made undone.

    Args:
        run: the teacher's.
        data: the student's settings, decided.

    Raises:
        InputError: it was trained on images prepared in another way.
    """
    for name, theirs, ours in (
        ("resize", run.preprocess.resize, data.resize),
        ("adapt", run.preprocess.adapt, data.adapt),
    ):
        if theirs != ours:
            raise InputError(
                f"--teacher {run.path}: learned from images of --{name} {theirs}, and this training shows it "
                f"those of --{name} {ours}: name --{name} {theirs}"
            )


@dataclass(frozen=True)
class Teacher:
    """A run that is open, in float32.

    model: as it was trained, not trainable.
    preprocess: how images become its input.
    order: which of its outputs is about each class of the student's.
    """

    model: keras.Model
    preprocess: Preprocess
    order: tuple[int, ...]

    def seen(self, images: Any) -> Any:
        """Return the student's images, float `[B, H, W, C]` in 0…255, in the teacher's size and colour."""
        channels = images.shape[-1]
        if channels == 1 and self.preprocess.colour == "rgb":
            images = ops.repeat(images, 3, axis=-1)
        elif channels == 3 and self.preprocess.colour == "grey":
            images = ops.sum(images * ops.array(LUMA, "float32"), axis=-1, keepdims=True)
        if tuple(images.shape[1:3]) != self.preprocess.size:
            images = ops.image.resize(
                images, self.preprocess.size, antialias=True, data_format="channels_last"
            )
        return images


def opened(runs: Sequence[Bundle], task: Task | None = None) -> list[Teacher]:
    """Build the runs' models, with their weights, to teach `task`; None: each its own."""
    found = []
    for run in runs:
        model = bundle.build_trained(run)
        model.trainable = False
        order = tuple(run.labels.index(name) for name in (task or run.task).classes)
        found.append(Teacher(model, run.preprocess, order))
    return found


def answers(teachers: Sequence[Teacher], source: Source, flip: bool) -> Features:
    """Return the logits of all teachers for every training image, in `views`: float32 `[V, N, K × C]`.

    Each teacher is shown the images as its own preprocessing makes them, and mirrored too with `flip`. What
    it said is kept in the cache folder, and found again for the same images and weights.
    """
    names = frozenset({"train"} if flip else ())
    views = []
    for teacher in teachers:
        with runtime.in_float32():  # whatever the student computes in, so that there is one file of it
            held = cached_features(
                teacher.model,
                {"train": source.train},
                teacher.preprocess,
                source.fingerprint,
                mirrored=names,
                what="a teacher's answers",
            )
        views.append(held["train"].views[..., list(teacher.order)])
    return Features(np.concatenate(views, axis=-1), source.train.labels)


def with_answers(stream: Stream, held: Features, feed: Feed, places: tuple[int, int], count: int) -> Stream:
    """Return the stream with what `count` teachers say of its images beside the targets.

    Args:
        stream: of batches (images, targets).
        held: the teachers' answers, in the order of the split.
        feed: of the stream.
        places: how many steps the stream has, and the training's step that it begins with.
        count: K.
    """
    steps, first = places

    def batches(done: int) -> tf.data.Dataset:
        said = held.training_dataset(feed, steps=steps - done, start_step=first + done)

        def put(pair: tuple[Any, Any], told: tuple[Any, Any]) -> tuple[Any, Any]:
            rows, _ = told
            answers = tf.reshape(rows, (-1, count, rows.shape[-1] // count))
            return pair[0], (pair[1], answers)

        return tf.data.Dataset.zip(stream.batches(done), said).map(put)

    return Stream(batches, stream.images)


def notes(records: Sequence[dict[str, Any]], source: Source) -> tuple[str, ...]:
    """Say of which teachers the figures of the student cannot be believed as they stand, a line each."""
    return tuple(
        f"teacher {each['path']} learned from other images, or another division of them: where it has seen "
        "those of this test split, the student's test figures are too good"
        for each in records
        if each["data"] != source.fingerprint
    )
