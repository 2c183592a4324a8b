"""What the report of a run is made of: every evaluation by its name, in the order of the page.

An evaluation is one file in `sections/` and one line in a table here: in `EVALUATIONS` where it says
something of every run, in seconds, from answers that are there; in `ON_REQUEST` where it takes the model and
minutes.
"""

from collections.abc import Callable
from functools import partial

from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.sections.adaptive_steps import adaptive_steps
from imgrec.evaluation.sections.attacks import attacks
from imgrec.evaluation.sections.calibration import calibration
from imgrec.evaluation.sections.classes import classes
from imgrec.evaluation.sections.confusion import confusion
from imgrec.evaluation.sections.corruptions import corruptions
from imgrec.evaluation.sections.curves import curves
from imgrec.evaluation.sections.data import data
from imgrec.evaluation.sections.ensemble import ensemble
from imgrec.evaluation.sections.exports import exports
from imgrec.evaluation.sections.figures import figures
from imgrec.evaluation.sections.hard_images import hard_images
from imgrec.evaluation.sections.headline import headline
from imgrec.evaluation.sections.known import known
from imgrec.evaluation.sections.looking import looking
from imgrec.evaluation.sections.mistakes import mistakes
from imgrec.evaluation.sections.objects import objects
from imgrec.evaluation.sections.settings import settings
from imgrec.evaluation.sections.shifts import shifts
from imgrec.evaluation.sections.slices import slices
from imgrec.evaluation.sections.thinned import dropout
from imgrec.evaluation.sections.training import training
from imgrec.evaluation.sections.unknown_set import unknown_set
from imgrec.evaluation.sections.use import use
from imgrec.evaluation.sections.views import views
from imgrec.registry import check_options
from imgrec.spec import parse_line

Evaluation = Callable[[Evaluated], Section | None]
EVALUATIONS: dict[str, Evaluation] = {
    "headline": headline,
    "ensemble": ensemble,
    "objects": objects,
    "classes": classes,
    "confusion": confusion,
    "mistakes": mistakes,
    "hard_images": hard_images,
    "looking": looking,
    "slices": slices,
    "figures": figures,
    "curves": curves,
    "calibration": calibration,
    "known": known,
    "training": training,
    "adaptation": adaptive_steps,
    "exports": exports,
    "use": use,
    "data": data,
    "settings": settings,
}
"""Every evaluation by its name, the anchor of its section; None where it has nothing to say of a run."""
ON_REQUEST: dict[str, Callable[..., Section | None]] = {
    "corruptions": corruptions,
    "attacks": attacks,
    "shifts": shifts,
    "unknown": unknown_set,
    "dropout": dropout,
    "views": views,
}
"""Evaluations that take the model and minutes, `evaluate --also NAME`; keyword arguments are their options.

Their sections stand before the exported files.
"""
_BEFORE = "exports"
"""What was asked for stands before this section."""


def requested(also: str) -> dict[str, Evaluation]:
    """Return the evaluations of `ON_REQUEST` that `also` names, such as `corruptions(images=500)|attacks`.

    Raises:
        InputError: an unknown name or option, or one named twice.
    """
    chosen: dict[str, Evaluation] = {}
    for spec in parse_line(also, "--also") if also.strip() else ():
        if spec.args:
            raise InputError(f"--also {spec}: expected name=value in the brackets")
        if spec.name in chosen:
            raise InputError(f"--also {also}: {spec.name} is named twice")
        evaluation = check_options(ON_REQUEST, spec.name, "evaluation", spec.options, ("given",))
        chosen[spec.name] = partial(evaluation, **spec.options)
    return chosen


def in_order(more: dict[str, Evaluation]) -> dict[str, Evaluation]:
    """Return `EVALUATIONS` with those of `more` in their place on the page."""
    names = list(EVALUATIONS)
    place = names.index(_BEFORE) if _BEFORE in names else len(names)
    first, last = names[:place], names[place:]
    return {name: EVALUATIONS.get(name) or more[name] for name in (*first, *more, *last)}
