"""How well each score tells the run's test images from others: a section that is asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.elsewhere import images_of
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import data_uri
from imgrec.evaluation.seeing import see, some
from imgrec.evaluation.unknown_figures import histogram, lines
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.separation import separation
from imgrec.phrases import Phrase
from imgrec.spec import whole_option
from imgrec.unknown.detector import Detector
from imgrec.unknown.scores import SOURCES, Seen

Floats = NDArray[np.floating]
_SHOWN = 12


def unknown_set(given: Evaluated, data: str = "", images: int = 2000) -> Section:
    """The run's test images against those of `data`, a folder or what `--data` takes, at most `images` each.

    Raises:
        InputError: no data, a run that does not tell unknown images, or nothing that can be read.
    """
    if not data:
        raise InputError("--also unknown: against which images? as in unknown(data=photos/)")
    most = whole_option("--also unknown: images", images, 1)
    detector, subject, split = given.unknown, given.subject, given.split
    if detector is None or subject is None or split is None:
        raise InputError(
            "--also unknown: this run does not tell unknown images: they are told where images show one "
            "class each, by --false-alarms above 0 and enough validation images; train again"
        )
    elsewhere = images_of(str(data), subject.preprocess, most)
    inside, outside = see(subject, some(split, most)), see(subject, elsewhere.split)
    chosen = detector.chosen(inside)
    rows = _rows(detector, inside, outside, chosen)
    mine, theirs = (detector.values(seen)[chosen] for seen in (inside, outside))
    surest = np.argsort(theirs, kind="stable")[:_SHOWN]
    top = outside.scores.argmax(axis=1)
    taken = np.bincount(top, minlength=len(given.task.classes))
    data_of = {
        "rows": rows,
        "source": str(data),
        "known": len(mine),
        "unknown": len(theirs),
        "unread": elsewhere.unread,
        "rate": detector.false_alarms,
        "chosen": next(row for row in rows if row["chosen"]),
        "figures": _figures(given, detector, chosen, mine, theirs),
        "missed": _pictures(subject.preprocess, given.task.classes, elsewhere.split, surest, outside),
        "taken": [(given.task.classes[k], taken[k] / len(top)) for k in np.argsort(-taken)[:3] if taken[k]],
    }
    told = {"data": str(data), "known": len(mine), "unknown": len(theirs), "scores": rows}
    return Section(
        Phrase("Told from other images"),
        "unknown_set.html.j2",
        data_of,
        {"unknown_set": told},
        Phrase("Others"),
    )


def _rows(detector: Detector, inside: Seen, outside: Seen, chosen: str) -> list[dict[str, Any]]:
    """Return each score's figures, that which decides first."""
    known, unknown = detector.values(inside), detector.values(outside)
    rows = []
    for name in sorted(known, key=lambda name: (name != chosen, list(SOURCES).index(name))):
        found = detector.alarms(detector.shares(name, unknown[name]))
        alarms = detector.alarms(detector.shares(name, known[name]))
        rows.append(
            {
                "score": name,
                "chosen": name == chosen,
                **separation(known[name], unknown[name]).record(),
                "detected": float(found.mean()),
                "detected_95": wilson_interval(int(found.sum()), len(found)),
                "false_alarms": float(alarms.mean()),
            }
        )
    return rows


def _figures(given: Evaluated, detector: Detector, name: str, known: Floats, unknown: Floats) -> list[str]:
    """Return the histogram and the ROC curve of the score that decides."""
    from sklearn.metrics import roc_curve

    held = detector.validation[name]
    rank = int(np.ceil((len(held) + 1) * (1 - detector.false_alarms) - 1e-9))
    groups = {Phrase("test images"): known, Phrase("other images"): unknown}
    false, true, _ = roc_curve(np.arange(len(known) + len(unknown)) >= len(known), np.r_[known, unknown])
    curve = {Phrase("unknown images found"): (false, true)}
    return [
        histogram(groups, float(held[rank - 1]), Phrase("score"), given.language),
        lines((Phrase("share of false alarms"), Phrase("share found")), curve, given.language, guess=True),
    ]


def _pictures(
    preprocess: Preprocess, classes: Sequence[str], split: Split, places: NDArray[np.integer], seen: Seen
) -> list[dict[str, Any]]:
    """Return the images that are most like the training images, with what the model takes them for."""
    from imgrec.data.loading import load_arrays

    chosen = split.take(places)
    pixels = load_arrays(chosen, preprocess)
    return [
        {
            "id": chosen.ids[row],
            "uri": data_uri(pixels[row]),
            "label": classes[int(seen.scores[place].argmax())],
            "probability": float(seen.scores[place].max()),
        }
        for row, place in enumerate(places)
    ]
