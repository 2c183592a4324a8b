"""What may help a model that has not learned what its images show."""

from imgrec.learning.session import Session
from imgrec.runs.measuring import constant_of
from imgrec.training.fit import Fitted

_FEW_UPDATES = 1000


def advice(session: Session, fitted: Fitted) -> str:
    """Return what is likely to help a model that answers by chance."""
    source, score = session.source, session.task.score
    learned = max((float(row[score]) for row in fitted.history if score in row), default=0.0)
    labels = source.train.labels
    known = 0.0 if (constant := constant_of(session.task, labels, labels)) is None else constant[1].mean()
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
