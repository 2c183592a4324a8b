"""What the model says of images unlike its training images, and how often it says so falsely."""

from typing import Any

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.seeing import see, some
from imgrec.metrics.intervals import wilson_interval
from imgrec.phrases import Phrase
from imgrec.unknown.detector import least
from imgrec.unknown.scores import SOURCES

LOOKED_AT = 2000
"""Test images at most: the rate is then known to ± 1 point."""
_MANY = 50
"""Validation images from which on the threshold keeps its rate to within a factor of 2 or so."""


def known(given: Evaluated) -> Section | None:
    """The rate of false alarms, promised and found, or why there is none; nothing without classes."""
    if given.task.labels != "class" or given.subject is None or given.split is None:
        return None
    rate = float(given.config.get("false_alarms", 0))
    title, link = Phrase("Images unlike the training images"), Phrase("Unknown images")
    data: dict[str, Any]
    if given.unknown is None:
        count = len(given.validation.ids) if given.validation is not None else 0
        if not rate or count >= least(rate):  # not asked for, or a run of before
            return None
        data = {"validation": count, "rate": rate, "least": least(rate), "detector": None}
        return Section(title, "known.html.j2", data, link=link)
    detector = given.unknown
    images = some(given.split, LOOKED_AT)
    seen = see(given.subject, images)
    name = detector.chosen(seen)
    alarms = int(detector.alarms(detector.shares(name, detector.values(seen)[name])).sum())
    low, high = detector.expected(len(images))
    found: dict[str, Any] = {
        "score": name,
        "false_alarms": detector.false_alarms,
        "training_images": detector.images,
        "validation_images": len(detector.validation[name]),
        "images": len(images),
        "alarms": alarms,
        "share": alarms / len(images),
        "interval_95": wilson_interval(alarms, len(images)),
        "expected": [low / len(images), high / len(images)],
    }
    own = given.train is not None
    data = {**found, "detector": detector, "own": own, "inside": low <= alarms <= high, "many": _MANY}
    data["source"] = SOURCES[name]
    return Section(title, "known.html.j2", data, {"unknown": found}, link)
