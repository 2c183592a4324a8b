"""What it is worth to look at an image in several ways: a section that is asked for."""

import numpy as np

from imgrec.data.augment.test_time import Views
from imgrec.data.augment.test_time import views as views_of
from imgrec.data.loading import load_arrays
from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.subject import Subject
from imgrec.metrics.paired import from_answers
from imgrec.metrics.single_label import calibration_error
from imgrec.models.inside import look_inside
from imgrec.phrases import Phrase
from imgrec.spec import whole_option
from imgrec.tasks.task import Outputs

_AT_ONCE = 256


def views(given: Evaluated, n: int = 8) -> Section:
    """The mean of up to `n` views of each test image against the single view, paired.

    Raises:
        InputError: n below 2, or a training without any other view of an image.
    """
    most = whole_option("--also views: n", n, 2, 64)
    subject, split = given.subject, given.split
    if subject is None or split is None:
        raise InputError("--also views: the images are not at hand")
    seen = views_of(given.config, subject.preprocess.size, most)
    if len(seen) < 2:
        raise InputError(
            "--also views: the training showed images neither mirrored, nor cropped: any other view would be "
            "strange to the model; train with --flip or --crop pad"
        )
    one, many = _scores(subject, load_arrays(split, subject.preprocess), seen)
    right = [subject.task.right(scores, split.labels) for scores in (many, one)]
    paired = from_answers(*right)
    told = {
        "asked": most,
        "views": len(seen),
        "which": list(seen.said),
        "images": len(split),
        "single": float(right[1].mean()),
        "mean": float(right[0].mean()),
        "paired": paired.record(),
    }
    if subject.task.labels == "class":
        told["calibration_error"] = {
            name: calibration_error(scores, split.labels)
            for name, scores in (("single", one), ("mean", many))
        }
    data = {**told, "share": given.task.share, "differs": paired.differs}
    return Section(
        Phrase("Several views of an image"), "views.html.j2", data, {"views": told}, Phrase("Views")
    )


def _scores(subject: Subject, pixels: np.ndarray, seen: Views) -> tuple[Outputs, Outputs]:
    """Return the scores of the single view and the means over all, `[N, S]`."""
    look = look_inside(subject.model)

    def answer(images: np.ndarray) -> Outputs:
        return subject.task.scores(look(images)[0])

    singles, means = [], []
    for start in range(0, len(pixels), _AT_ONCE):
        some = pixels[start : start + _AT_ONCE]
        singles.append(answer(some))
        means.append(seen.scores(some, answer))
    return np.concatenate(singles), np.concatenate(means)
