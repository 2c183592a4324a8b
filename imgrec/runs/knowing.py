"""What a run keeps of its images, so that others can be told from them, and a change be noticed."""

from pathlib import Path

import numpy as np

from imgrec.data.loading import reader
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.seeing import see, some
from imgrec.evaluation.subject import Subject
from imgrec.learning.session import Session
from imgrec.unknown import stored
from imgrec.unknown.detector import Detector, least, too_few
from imgrec.unknown.scores import Seen
from imgrec.watching import measures, reference
from imgrec.watching.reference import Reference

TRAINING, VALIDATION = 5000, 2000
"""At most so many images of each are looked at: one look, without learning, costs a third of an epoch."""


def write_known(session: Session, subject: Subject, folder: Path) -> None:
    """Write unknown.npz and watching.npz, each where the run has what it needs; say why there is no first.

    Unknown images are not told where images show any number of classes, or none: nothing of the scores is
    about them; and not where validation images are too few for the rate of false alarms.
    """
    rate, seed, source = session.config.unknown.false_alarms, session.config.run.seed, session.source
    tells = bool(rate) and session.task.labels == "class"
    enough = len(source.val) >= least(rate) if tells else False
    if tells and not enough:
        print(f"unknown images are not told: {too_few(len(source.val), rate)}")
    if not enough and len(source.val) < reference.LEAST:
        return
    validation = some(source.val, VALIDATION, seed)
    seen = see(subject, validation)
    detector = _detector(session, subject, seen) if enough else None
    if detector is not None:
        stored.write(folder, detector)
    if len(validation) >= reference.LEAST:
        reference.write(folder, reference_of(subject, validation, seen, detector))


def _detector(session: Session, subject: Subject, validation: Seen) -> Detector | None:
    train = some(session.source.train, TRAINING, session.config.run.seed)
    try:
        return Detector.fit(
            see(subject, train), train.labels, validation, session.config.unknown.false_alarms
        )
    except InputError as error:
        print(f"unknown images are not told: {error}")
        return None


def reference_of(subject: Subject, images: Split, seen: Seen, detector: Detector | None = None) -> Reference:
    """Return what images are like, and the model's answers to them, to hold a stream of requests against."""
    read = reader(images, subject.preprocess)
    rows = [measures.of(read(index)) for index in range(len(images))]
    values = {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}
    labels = np.zeros(0, np.int32)
    if subject.task.labels == "class":
        values["confidence"] = seen.scores.max(axis=1)
        labels = seen.scores.argmax(axis=1).astype(np.int32)
    if detector is not None and detector.known is not None:
        name = detector.chosen(seen)
        values["unlikeness"] = detector.values(seen)[name].astype(np.float32)
    return Reference(values, labels, len(subject.task.classes))
