"""What a run does after its training, told in epochs of it, so that the time left counts it."""

from imgrec.compression.pruning import prunings
from imgrec.compression.variants import chain, find
from imgrec.export.formats import FORMATS, chosen
from imgrec.learning.session import Session
from imgrec.runs.deciding import QAT_STEP, STEP
from imgrec.training.progress import Ahead

ALONE = 2.0
"""What an image costs that goes through a file by itself, in forward passes of a batch's."""
FILE_SECONDS, REPORT_SECONDS = 5.0, 5.0
"""What converting a file takes, and the report."""


def after_training(session: Session, most: int) -> Ahead:
    """Return what comes after the training: measuring, fine-tuning, exporting, the report.

    `most` images of the test split go through every file.
    """
    measured = len(session.source.test) * (2 if session.preprocess.adapts else 1)
    passes = measured + sum(_passes(session, name, most) for name in _variants(session))
    passes += session.config.quantize.qat_epochs * _epoch(session, QAT_STEP) * _tunings(session)
    passes += prunings.epochs(session.config.quantize.prune) * _epoch(session, STEP)
    return Ahead(passes / _epoch(session, STEP), _seconds(session, _variants(session)))


def after_pruning(session: Session, most: int) -> Ahead:
    """Return what comes after the fine-tuning of a pruned network, in epochs of that."""
    passes = sum(_passes(session, name, most) for name in _variants(session))
    passes += session.config.quantize.qat_epochs * _epoch(session, QAT_STEP) * _tunings(session)
    return Ahead(passes / _epoch(session, STEP), _seconds(session, _variants(session)))


def after_tuning(session: Session, variant: str, most: int) -> Ahead:
    """Return what comes after the fine-tuning of `variant`, the last there is, in epochs of that."""
    left = _variants(session)[_variants(session).index(variant) :]
    passes = sum(_passes(session, name, most) for name in left)
    return Ahead(passes / _epoch(session, QAT_STEP), _seconds(session, left))


def _variants(session: Session) -> tuple[str, ...]:
    return chain(session.config.quantize.quantize)


def _tunings(session: Session) -> int:
    return sum(bool(find(name).fine_tuning) for name in _variants(session))


def _epoch(session: Session, step: float) -> float:
    """What an epoch costs, in forward passes."""
    return step * session.steps_per_epoch * session.batch_size + len(session.source.val)


def _files(session: Session, name: str) -> int:
    formats = chosen(session.config.quantize.export_to, "--export-to")
    return sum(find(name).arithmetic in FORMATS[form].writers for form in formats)


def _passes(session: Session, name: str, most: int) -> float:
    """Making a variant and measuring its files, in forward passes."""
    calibrated = bool(find(name).convert) * session.config.quantize.calibration_images
    return ALONE * (
        min(len(session.source.train), calibrated)
        + _files(session, name) * min(len(session.source.test), most)
    )


def _seconds(session: Session, names: tuple[str, ...]) -> float:
    return REPORT_SECONDS + FILE_SECONDS * sum(_files(session, name) for name in names)
