"""Which images an evaluation of minutes takes, whose answers it asks for, and how sure its shares are."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgrec import bundle
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.subject import Subject
from imgrec.runtimes import open_runtime
from imgrec.tasks.task import Task

RESAMPLES = 1000
"""Draws of a bootstrap."""

Right = Callable[[Split], NDArray[np.bool_]]
"""Images and labels → whether each is answered right, bool `[N]`."""


@dataclass(frozen=True)
class Answering:
    """What answers, and how its images are prepared.

    name: as pages have it.
    preprocess: with adaptive steps, which `right` runs on what it is given.
    """

    name: str
    preprocess: Preprocess
    right: Right

    @property
    def bare(self) -> Preprocess:
        """The preparation without adaptive steps: what is changed are the pixels that they would see."""
        return replace(self.preprocess, adapt="none")


def subject_of(given: Evaluated, name: str) -> tuple[Subject, Split]:
    """Return the model and the images that it is measured on.

    Raises:
        InputError: there is none of them, or no image.
    """
    if given.subject is None or given.split is None or not len(given.split):
        raise InputError(f"{name}: needs the model and its images: ask for it by evaluate --also {name}")
    return given.subject, given.split


def some_of(split: Split, images: object, seed: object, name: str) -> Split:
    """Return `images` of the split, drawn by `seed`, in its order; all, where it has no more.

    Raises:
        InputError: one of the two is no whole number in its range.
    """
    count, chosen = whole(name, "images", images, 1), whole(name, "seed", seed, 0)
    if count >= len(split):
        return split
    return split.take(np.sort(np.random.default_rng(chosen).permutation(len(split))[:count]))


def whole(name: str, option: str, value: object, least: int) -> int:
    """Return `value` as a whole number.

    Raises:
        InputError: it is none, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}({option}={value}): expected a whole number from {least}")
    return value


def of_subject(name: str, subject: Subject) -> Answering:
    """Return a Keras model as it answers with its own preprocessing."""

    def right(split: Split) -> NDArray[np.bool_]:
        return subject.task.right(subject.task.scores(subject.answers(split)), split.labels)

    return Answering(name, subject.preprocess, right)


def of_run(path: str, task: Task, option: str) -> Answering:
    """Return another run's model.

    Raises:
        InputError: no finished run, or one of another task or other classes.
    """
    held = bundle.load(Path(path))
    if (held.task.name, held.task.classes) != (task.name, task.classes):
        raise InputError(
            f"{option}={path}: answers for {len(held.task.classes)} classes ({held.task.name}), this run for "
            f"{len(task.classes)} ({task.name}): expected a run of the same classes in the same order"
        )
    batch = int(held.config["optim"]["batch_size"])
    return of_subject(path, Subject(held.model, held.task, held.preprocess, batch))


def of_file(path: str, subject: Subject) -> Answering:
    """Return an exported file of the run, which takes the pixels that the run's preprocessing makes.

    Raises:
        InputError: no such file, or one that takes other images or gives other outputs.
    """
    runtime, task, preprocess = open_runtime(Path(path)), subject.task, subject.preprocess
    if not runtime.takes(preprocess.shape) or runtime.outputs != (task.outputs,):
        raise InputError(
            f"file={path}: takes images of {runtime.image} and gives {runtime.outputs}, the run has "
            f"{preprocess.shape} and {(task.outputs,)}: name one of its own files"
        )

    def right(split: Split) -> NDArray[np.bool_]:
        from imgrec.data.loading import load_arrays

        outputs = runtime.answer(load_arrays(split, preprocess))
        return task.right(runtime.scores_of(outputs, task), split.labels)

    return Answering(Path(path).name, preprocess, right)


def resampled(values: NDArray[np.floating], seed: int = 0) -> NDArray[np.float64]:
    """Return the means of `values` `[N, …]` over images drawn again and again, `[RESAMPLES, …]`.

    The bootstrap: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979. An
    image brings all of its values with it, so what was measured on the same images stays paired.
    """
    count = len(values)
    draw = np.random.default_rng(seed)
    weights = draw.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return np.tensordot(weights, values, axes=1) / count


def interval(draws: NDArray[np.floating]) -> list[float]:
    """Return the middle 95 % of `draws`, `[low, high]`."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return [float(low), float(high)]
