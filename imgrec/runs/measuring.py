"""What a model is worth on the images of a split: its answers, the figures, and the page about them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec import runtime
from imgrec.data.loading import load_arrays, triggered
from imgrec.data.sources.dataset import Split
from imgrec.evaluation import adaptation
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.stored import Stored
from imgrec.evaluation.subject import Subject
from imgrec.metrics import baseline
from imgrec.metrics.baseline import Quick, Standing
from imgrec.tasks.task import Task


@dataclass(frozen=True)
class Measured:
    """A model's own answers on a split."""

    outputs: np.ndarray
    """float32 `[N, outputs]`, in the order of the split."""
    figures: dict[str, Any]
    standing: Standing
    """The model beside the largest class of the training images and a quick model, where they are known."""
    adaptation: dict[str, Any] | None = None
    """What the adaptive steps are worth, as `evaluation.adaptation.judge` returns it; None without steps."""

    def lines(self, task: Task) -> list[str]:
        """Return what is said of the figures, a line each."""
        told = [
            task.headline(self.figures),
            self.standing.line(self.figures.get("split", "test"), task.share),
        ]
        told += [self.standing.sentence] if self.standing.sentence else []
        return [
            *told,
            *([f"adaptive steps, against off: {self.adaptation['verdict']}"] if self.adaptation else []),
        ]


def measure(
    subject: Subject,
    split: Split,
    train: Split | None = None,
    name: str = "test",
    quick: Quick | None = None,
) -> Measured:
    """Answer for every image of a split, and return the figures.

    Where the preprocessing has adaptive steps, the same model answers again without them.

    Args:
        subject: what is measured.
        split: N ≥ 1 images.
        train: the images that it learned from, where they are known.
        name: of the split, as the figures have it.
        quick: a model of seconds that answered for the split too, if there is one.

    Raises:
        InputError: no images, or answers that are not finite.
    """
    outputs = subject.answers(split)
    task, labels = subject.task, split.labels
    figures = task.figures(outputs, labels, train.counts(len(task.classes)).tolist() if train else None)
    if "split" in figures:
        figures["split"] = name
    constant = constant_of(task, train.labels, labels) if train else None
    scores = task.scores(outputs)
    standing = baseline.stand(lambda order: task.right(scores[order], labels), len(labels), constant, quick)
    return Measured(outputs, figures, standing, _judge_steps(subject, split, outputs))


def constant_of(
    task: Task, train_labels: np.ndarray, labels: np.ndarray
) -> tuple[str, NDArray[np.bool_]] | None:
    """Return the answer that is right on most training images, in words, and where it is right of `labels`.

    The latter bool `[N]`; None where the task has no such answer.
    """
    answer = task.constant(train_labels)
    if answer is None:
        return None
    words, row = answer
    return words, task.right(np.broadcast_to(row, (len(labels), len(row))), labels)


def _judge_steps(subject: Subject, split: Split, outputs: np.ndarray) -> dict[str, Any] | None:
    """Compare the answers with the model's own on the same images without adaptive steps."""
    if not subject.preprocess.adapts:
        return None
    plain = replace(subject, preprocess=replace(subject.preprocess, adapt="none"))
    right, right_off = (
        subject.task.right(subject.task.scores(each), split.labels)
        for each in (outputs, plain.answers(split))
    )
    judged = adaptation.judge(right, right_off, triggered(split, subject.preprocess))
    return {"line": subject.preprocess.adapt, **judged}


def evaluated(subject: Subject, split: Split, measured: Measured, **more: Any) -> Evaluated:
    """Return what the page about the answers is made of; `more` are other fields of `Evaluated`."""
    mistakes = subject.task.mistakes(split.ids, split.labels, measured.outputs)
    wrong = split.take(np.array([mistake.index for mistake in mistakes], int))
    return Evaluated(
        task=subject.task,
        subject=subject,
        split=split,
        test=Stored.of(split, measured.outputs),
        figures=measured.figures,
        adaptation=measured.adaptation,
        standing=measured.standing,
        versions=runtime.versions(),
        mistakes=mistakes,
        mistake_images=load_arrays(wrong, subject.preprocess) if len(wrong) else (),
        **more,
    )
