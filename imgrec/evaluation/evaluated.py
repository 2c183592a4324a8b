"""What every evaluation is given, a run when it is measured, and what it gives: a section of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.dataset import Split
from imgrec.evaluation.language import ENGLISH, Language
from imgrec.evaluation.stored import Stored
from imgrec.evaluation.subject import Subject
from imgrec.metrics.answers import Mistake
from imgrec.metrics.baseline import Standing
from imgrec.tasks.task import Task
from imgrec.unknown.detector import Detector


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One run, trained, measured and exported.

    title: heading of the page, such as the model's and the data's name.
    task: what the model answers.
    figures: what `task.figures` returns of the test split.
    config: flat settings, `Config.flat()`; its `out` names the run folder in the commands shown.
    data: split → images of each class, in the order of `task.classes`; one count where there are no classes.
    versions: package → version.
    history: one mapping an epoch: epoch, loss, val_loss, the task's metrics and any others, as numbers or as
        read from history.csv.
    best_epoch: the epoch, from 1, whose weights were kept; None without a history.
    retried: the learning rate of the training, where that is half of what `config` has, for the whole of it
        led nowhere; else None.
    exports: one mapping a file: name, accuracy, agreement (0…1), max_abs_difference, kilobytes,
        ms_per_image, passed (None: not held against the gate); absent ones show as a dash, and an
        absent `passed` is whether no failure names the file.
    failures: sentences of the parity gate, each naming its file.
    excused: the same of files that are not held against it, as their model answers by chance.
    doubts: what the images are too few to show of the files, in one line, or empty.
    standing: the model beside the baselines; None where that is not known.
    parity_images: how many test images went through every file.
    mistakes: `task.mistakes`; mistake_images: their images, uint8 `[H, W, 1 or 3]`.
    totals: split → images; by default the sum of its counts.
    adaptation: what `evaluation.adaptation.judge` returns, and `line`, the steps; None without steps.
    facts: what else is to be said of the data, such as source and fingerprint.
    command: the command line that made the run, if known.
    test: the outputs that `figures` were made of, and validation: those for the images that the epoch was
        chosen by, where they are there.
    subject: the model, split: the images of `test`, and train: those that it learned from, where they are
        there.
    unknown: what tells images unlike the training ones, where the run has that.
    validation_objects: the object that each image of `validation` shows, where a column of the data says so.
    fusion: how the run fuses several pictures of an object, where it chose before.
    language: of the page; what a reader sees goes through it.
    """

    title: str
    task: Task
    figures: Mapping[str, Any]
    config: Mapping[str, Any]
    data: Mapping[str, Sequence[int]]
    versions: Mapping[str, str]
    history: Sequence[Mapping[str, Any]] = ()
    best_epoch: int | None = None
    retried: float | None = None
    exports: Sequence[Mapping[str, Any]] = ()
    failures: Sequence[str] = ()
    excused: Sequence[str] = ()
    doubts: str = ""
    standing: Standing | None = None
    parity_images: int | None = None
    mistakes: Sequence[Mistake] = ()
    mistake_images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8] = ()
    totals: Mapping[str, int] | None = None
    adaptation: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    test: Stored | None = None
    validation: Stored | None = None
    subject: Subject | None = None
    split: Split | None = None
    train: Split | None = None
    unknown: Detector | None = None
    language: Language = ENGLISH
    validation_objects: Sequence[str] = ()
    fusion: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the report; its name in `EVALUATIONS` is its anchor.

    title: its heading, a phrase where it is to be said in the page's language; so is `link`.
    template: name of a fragment in templates/sections/, or the fragment itself where it holds a `<`; Jinja2,
        in which all that is not marked as safe is escaped.
    data: the values that the fragment names.
    json: what it adds to metrics.json, ready for JSON; no two sections write one key.
    link: its name in the page's navigation where that is shorter than the title; a section of an empty one
        stands in no navigation and has no heading to be seen.
    """

    title: str
    template: str
    data: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    link: str | None = None
