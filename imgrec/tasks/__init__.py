"""Tasks by name, the one that fits a set's labels, and the one that a run folder holds."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgrec.data.sources.labels import LabelKind
from imgrec.data.sources.names import unified
from imgrec.errors import InputError
from imgrec.files import json_text, write_text
from imgrec.guards.documents import parse
from imgrec.registry import lookup
from imgrec.tasks.calibration import KEY
from imgrec.tasks.calibration import read as read_calibration
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task

FILE = "task.json"
"""Beside labels.txt, in a run folder and in its exports."""
LABELS = "labels.txt"
TASKS: dict[str, type[Task]] = {"multiclass": Multiclass, "multilabel": Multilabel}
"""Every task by its name; a task of one's own is one file and one entry more."""


def choose(name: str, labels: LabelKind, classes: tuple[str, ...]) -> Task:
    """Return the task `name` about `classes`; `auto` is the first that learns from this kind of labels.

    Raises:
        InputError: an unknown task, one for other labels, or none that learns from such.
    """
    if name == "auto":
        fitting = [kind for kind in TASKS.values() if kind.labels == labels]
        if not fitting:
            raise InputError(f"--task auto: no task learns from labels of the kind {labels}: {_known()}")
        return fitting[0](classes)
    kind = lookup(TASKS, name, "task")
    if kind.labels != labels:
        raise InputError(
            f"--task {name}: learns from {kind.labels}, and these labels are {labels}: {_known()}"
        )
    return kind(classes)


def _known() -> str:
    return "known: " + ", ".join(f"{name} ({kind.labels})" for name, kind in TASKS.items())


def texts(task: Task) -> dict[str, str]:
    """Return name and text of the files that say what outputs mean: task.json, and labels.txt.

    The latter has one class a line, in the order of the outputs.
    """
    return {FILE: json_text(task.record()), LABELS: "".join(f"{name}\n" for name in task.classes)}


def write(folder: Path, task: Task) -> None:
    """Write `texts` into a folder."""
    for name, text in texts(task).items():
        write_text(folder / name, text)


def read(folder: Path) -> Task:
    """Read what `write` wrote; folders written before there were tasks say it in preprocess.json.

    Raises:
        InputError: a file is missing or damaged, or a task is unknown to this version.
    """
    try:
        names = (LABELS, FILE if (folder / FILE).is_file() else "preprocess.json")
        return from_texts({name: (folder / name).read_text(encoding="utf-8") for name in names}, folder)
    except OSError as error:
        raise InputError(
            f"{error.filename}: {error.strerror}; restore the folder, or copy it whole"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{folder / FILE}: cannot be read ({error}); expected what training wrote") from None


def from_texts(held: Mapping[str, str], place: Path) -> Task:
    """Return the task of `texts`, or of labels.txt and preprocess.json of the time before tasks.

    Args:
        held: text by name; others are left alone.
        place: where they are from, for messages.

    Raises:
        InputError: damaged, or a task unknown to this version.
    """
    classes = tuple(held[LABELS].removesuffix("\n").split("\n"))
    unified(classes, str(place / LABELS))  # names that would steer a terminal, or stand there twice
    try:
        if FILE in held:
            record = parse(held[FILE], str(place / FILE))
            return _from_record(record, classes, str(place / FILE))
        several = parse(held["preprocess.json"], str(place / "preprocess.json")).get("labels") == "several"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{place / FILE}: cannot be read ({error}); expected what training wrote") from None
    return (Multilabel if several else Multiclass)(classes)


def _from_record(record: Mapping[str, Any], classes: tuple[str, ...], place: str) -> Task:
    """Return the task of a task.json; format 2 has a calibration, which older versions would pass over."""
    if record["format"] not in (1, 2):
        raise InputError(f"{place}: format {record['format']!r}, this version reads 1 and 2")
    task = lookup(TASKS, str(record["task"]), f"task in {place}")(classes)
    if record["format"] == 1:
        return task
    if not task.activation:
        raise InputError(f"{place}: a {task.name} has no probabilities to calibrate; restore the folder")
    found = read_calibration(record.get(KEY), task.outputs, place)
    if task.labels != "class" and (found.sets or found.abstention):
        raise InputError(f"{place}: a {task.name} has no prediction sets; restore the folder")
    return replace(task, calibration=found)
