"""The answers of a great many images in parts, each whole or not there, put together at the end.

`OUT.parts/` holds `plan.json`, what is asked, and `NNNNNN.jsonl` for each part that is done. A command that
is stopped at any moment and given again does the parts that are missing; every image has one row in the end.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from imgrec import files
from imgrec.errors import InputError
from imgrec.guards.documents import read_json

SIZE = 256
"""Images of a part: a multiple of the images that a runtime answers at once, so that parts change no bit."""
PLAN = "plan.json"


@dataclass(frozen=True)
class Job:
    """What every part is asked with.

    run: a run folder or one of its files.
    version: its digest.
    keras: whether a run folder's Keras model answers in any case.
    top: classes to name.
    folder: where parts are written.
    """

    run: Path
    version: str
    keras: bool
    top: int
    folder: Path

    def path_of(self, part: int) -> Path:
        """Where a part is written."""
        return self.folder / f"{part:06d}.jsonl"

    def plan(self, images: Sequence[str]) -> dict[str, Any]:
        """Return what has to be the same for an earlier command's parts to count."""
        digest = hashlib.sha256("\n".join(images).encode("utf-8", "surrogateescape")).hexdigest()
        asked = {"version": self.version, "keras": self.keras, "top": self.top}
        return {**asked, "size": SIZE, "images": len(images), "listing": digest}


def begin(job: Job, images: Sequence[str]) -> list[int]:
    """Make the folder of parts, or take that of an earlier command; return the parts that are to be done.

    Raises:
        InputError: an earlier command asked something else, or the folder cannot be written.
    """
    plan, path = job.plan(images), job.folder / PLAN
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            files.write_json(path, plan)
    except OSError as error:
        raise InputError(f"--out: {job.folder}: {error.strerror or error}") from None
    before = read_json(path, "delete the folder to begin anew")
    if before != plan:
        changed = ", ".join(key for key in plan if before.get(key) != plan[key])
        raise InputError(
            f"{job.folder}: an unfinished command asked something else ({changed} differ); give another "
            "--out, or delete that folder to begin anew"
        )
    return [part for part in range(-(-len(images) // SIZE)) if not job.path_of(part).exists()]


def forget_if_nothing_done(job: Job) -> None:
    """Delete the folder of parts where there is none: a command that could not begin leaves nothing."""
    if not any(job.folder.glob("*.jsonl")):
        shutil.rmtree(job.folder)


def images_of(part: int, images: Sequence[str]) -> Sequence[str]:
    """Return the images of a part."""
    return images[part * SIZE : (part + 1) * SIZE]


def write(job: Job, part: int, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the rows of a part, whole or not at all; return how many of them are errors."""
    lines, failed = [], 0
    for row in rows:
        failed += "error" in row
        lines.append(_line(row))
    # A name of its own: a worker of a command that was killed may be about to write the same part.
    own = job.folder / f"{part:06d}-{os.getpid()}.unfinished"
    files.write_text(own, "".join(lines))
    os.replace(own, job.path_of(part))
    return failed


def _line(row: Mapping[str, Any]) -> str:
    """Return JSON of one line; escaped where a name is no UTF-8."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(row)
    return text + "\n"


def merge(job: Job, out: Path, count: int, more: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Put `count` parts and `more` rows together as `out`, then delete the parts.

    Returns:
        How many rows there are, and how many of them are errors.
    """
    rows = failed = 0

    def fill(path: Path) -> None:
        nonlocal rows, failed
        with open(path, "w", encoding="utf-8", newline="\n") as stream:
            for line in chain(_lines(job, count), map(_line, more)):
                stream.write(line)
                rows += 1
                failed += "error" in json.loads(line)

    files.write_file(out, fill)
    shutil.rmtree(job.folder)
    return rows, failed


def _lines(job: Job, count: int) -> Iterator[str]:
    for part in range(count):
        with open(job.path_of(part), encoding="utf-8", newline="\n") as stream:
            yield from stream
