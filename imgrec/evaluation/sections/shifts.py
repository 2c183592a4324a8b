"""How answers carry when things are hidden, turned and moved: a section of the report, asked for by name."""

from typing import Any

import numpy as np

from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import curve
from imgrec.evaluation.robustness import chosen
from imgrec.evaluation.robustness.corruptions import prepared, with_images
from imgrec.evaluation.robustness.progress import Progress
from imgrec.evaluation.robustness.shifts import SHIFTS, Change, Shift
from imgrec.phrases import Phrase


def shifts(given: Evaluated, images: int = 1000, seed: int = 0) -> Section:
    """Accuracy over the size of an occlusion, the angle of a rotation and the length of a translation.

    Args:
        given: with model and images.
        images: so many of the split, drawn by `seed`.
        seed: of the draws.

    Raises:
        InputError: an option out of range.
    """
    subject, whole = chosen.subject_of(given, "shifts")
    split = chosen.some_of(whole, images, seed, "shifts")
    answering = chosen.of_subject("model", subject)
    held = prepared(split, answering.bare)
    progress = Progress("shifts", sum(len(shift.sizes) for shift in SHIFTS.values()))
    curves = {}
    for name, shift in SHIFTS.items():
        curves[name] = {"unit": shift.unit, "sizes": _along(shift, held, answering, seed, progress)}
    figures: dict[str, Any] = {"images": len(split), "seed": seed, "curves": curves}
    data = {
        "told": figures,
        "shifts": SHIFTS,
        "svgs": [_drawn(given, name, each) for name, each in curves.items()],
    }
    return Section(
        Phrase("Hidden, turned, moved"),
        "shifts.html.j2",
        {**data, "share": given.task.share},
        {"shifts": figures},
        link=Phrase("Shifts"),
    )


def _along(
    shift: Shift, held: Split, answering: chosen.Answering, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """Return accuracy and interval at every size of a shift."""
    rows = []
    for size in shift.sizes:
        right = np.stack([answering.right(_changed(held, each)) for each in shift.changes(size, seed)])
        mean = right.mean(axis=0)
        row = {"size": size, "accuracy": float(mean.mean())}
        rows.append({**row, "interval_95": chosen.interval(chosen.resampled(mean))})
        progress.step(f"{shift.name} {size}")
    return rows


def _changed(held: Split, change: Change) -> Split:
    if held.images is None:
        raise InputError("shifts: expected images in memory")
    pairs = zip(held.images, held.ids, strict=True)
    return with_images(held, np.stack([change(image, name) for image, name in pairs]))


def _drawn(given: Evaluated, name: str, along: dict[str, Any]) -> str:
    """Return the SVG of a curve, with what is right of unchanged images as a line beside it."""
    _ = given.language
    rows = along["sizes"]
    lines: dict[str, list[float]] = {
        Phrase("unchanged"): [100 * rows[0]["accuracy"]] * len(rows),
        SHIFTS[name].name: [100 * row["accuracy"] for row in rows],
    }
    sizes = [row["size"] for row in rows]
    return curve(Phrase("accuracy, %"), sizes, lines, across=SHIFTS[name].unit, language=_)
