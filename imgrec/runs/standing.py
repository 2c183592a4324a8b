"""How a run stands at its end: the model beside its baselines, its files, and what may help."""

import numpy as np
from numpy.typing import NDArray

from imgrec.learning.session import Session
from imgrec.metrics import baseline
from imgrec.metrics.baseline import Quick, Standing
from imgrec.runs.exporting import Exported
from imgrec.tasks.task import Outputs, Task
from imgrec.training.fit import Fitted

_FEW_UPDATES = 1000


def standing_of(
    task: Task, outputs: Outputs, labels: np.ndarray, train_labels: np.ndarray, quick: Quick | None = None
) -> Standing:
    """Judge a model's answers to the images of a split beside the largest training class, and a quick model.

    Args:
        task: what outputs mean.
        outputs: float32 `[N, outputs]`.
        labels: of the N images, as `Split.labels` has them.
        train_labels: of the training images.
        quick: a model that took seconds, if one was trained.
    """
    answer = task.constant(train_labels)
    constant = None if answer is None else (answer[0], _right_of(task, answer[1], labels))
    return baseline.stand(lambda order: task.right(outputs[order], labels), len(labels), constant, quick)


def _right_of(task: Task, row: Outputs, labels: np.ndarray) -> NDArray[np.bool_]:
    """Return on which images the one answer `row`, `[outputs]`, is right."""
    return task.right(np.broadcast_to(row, (len(labels), len(row))), labels)


def lines(exported: Exported, headline: str, standing: Standing, split: str = "test") -> list[str]:
    """Return what is said of a run's files and its model, one line each."""
    told = [*exported.table.splitlines(), ""]
    told += [f"parity gate: {failure}" for failure in exported.failures]
    told += [f"not held against the file: {each}" for each in exported.excused]
    told += [exported.doubts] if exported.doubts else []
    told += [headline, standing.line(split)]
    return [*told, standing.sentence] if standing.sentence else told


def advice(session: Session, fitted: Fitted) -> str:
    """Return what is likely to help a model that answers by chance."""
    source, score = session.source, session.task.score
    learned = max((float(row[score]) for row in fitted.history if score in row), default=0.0)
    answer = session.task.constant(source.train.labels)
    known = 0.0 if answer is None else float(_right_of(session.task, answer[1], source.train.labels).mean())
    updates = len(fitted.history) * session.steps_per_epoch
    return f"the model answers by chance. Likely cure: {_cure(learned > (1 + known) / 2, updates)}"


def _cure(learned: bool, updates: int) -> str:
    if learned:
        return (
            "it knows its training images and no others: more images, --weights auto or stronger --augment; "
            "or the labels are wrong (python -m pipelines.audit)"
        )
    if updates < _FEW_UPDATES:
        return f"{updates:,} updates of the weights are few: more --epochs, or --weights auto"
    return (
        "it did not learn its training images either: a lower --learning-rate (--lr-find), or --weights auto"
    )
