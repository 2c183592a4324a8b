"""Tasks by name, the one that fits a set's labels, and the one that a run folder holds."""

import json
from pathlib import Path

from imgrec.data.sources.labels import LabelKind
from imgrec.errors import InputError
from imgrec.files import write_json, write_text
from imgrec.registry import lookup
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task

FILE = "task.json"
"""Beside labels.txt, in a run folder and in its exports."""
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


def write(folder: Path, task: Task) -> None:
    """Write task.json, and labels.txt with one class a line in the order of the outputs."""
    write_json(folder / FILE, task.record())
    write_text(folder / "labels.txt", "".join(f"{name}\n" for name in task.classes))


def read(folder: Path) -> Task:
    """Read what `write` wrote; folders written before there were tasks say it in preprocess.json.

    Raises:
        InputError: a file is missing or damaged, or a task is unknown to this version.
    """
    try:
        classes = (folder / "labels.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        if (folder / FILE).is_file():
            record = json.loads((folder / FILE).read_text(encoding="utf-8"))
            if record["format"] != 1:
                raise InputError(f"{folder / FILE}: format {record['format']!r}, this version reads 1")
            return lookup(TASKS, str(record["task"]), f"task in {folder / FILE}")(tuple(classes))
        held = json.loads((folder / "preprocess.json").read_text(encoding="utf-8"))
        return (Multilabel if held.get("labels") == "several" else Multiclass)(tuple(classes))
    except OSError as error:
        raise InputError(
            f"{error.filename}: {error.strerror}; restore the folder, or copy it whole"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder / FILE}: cannot be read ({error}); expected what training wrote") from None
