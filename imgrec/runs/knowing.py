"""What a run keeps of its training images, so that others can be told from them."""

from pathlib import Path

from imgrec.errors import InputError
from imgrec.evaluation.seeing import see, some
from imgrec.evaluation.subject import Subject
from imgrec.learning.session import Session
from imgrec.unknown import stored
from imgrec.unknown.detector import Detector, least, too_few

TRAINING, VALIDATION = 5000, 2000
"""At most so many images of each are looked at: one look, without learning, costs a third of an epoch."""


def write_known(session: Session, subject: Subject, folder: Path) -> Detector | None:
    """Fit a detector on training images, write unknown.npz, and return what is read back; None without one.

    There is none for images that show any number of classes, or none: nothing of the scores is about them;
    and none where validation images are too few for the rate of false alarms, which one line says.
    """
    rate, seed, source = session.config.unknown.false_alarms, session.config.run.seed, session.source
    if not rate or session.task.labels != "class":
        return None
    if len(source.val) < least(rate):
        print(f"unknown images are not told: {too_few(len(source.val), rate)}")
        return None
    train = some(source.train, TRAINING, seed)
    try:
        detector = Detector.fit(
            see(subject, train), train.labels, see(subject, some(source.val, VALIDATION, seed)), rate
        )
    except InputError as error:
        print(f"unknown images are not told: {error}")
        return None
    stored.write(folder, detector)
    return stored.read(folder, session.task.outputs)
