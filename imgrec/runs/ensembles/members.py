"""The runs that an ensemble is made of: read, and found to belong together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgrec import bundle
from imgrec.bundle import Bundle
from imgrec.config import Config, from_mapping
from imgrec.errors import InputError
from imgrec.runs import crossval

if TYPE_CHECKING:
    from imgrec.data.sources.dataset import Source

WEIGHTS = "model.keras"
VALIDATION = "validation images"
"""What weights are fitted on, where members have no answers out of fold."""


@dataclass(frozen=True)
class Member:
    """One voice of an ensemble: a run, or a cross-validation whose folds speak together.

    runs: the run, or those of the folds in their order.
    """

    path: Path
    runs: tuple[Bundle, ...]
    is_crossed: bool = False

    @property
    def config(self) -> Config:
        """The settings that it was trained with; of a cross-validation, those of its first fold."""
        return from_mapping(self.runs[0].config)


def read(paths: Sequence[Path], fewest: int = 2) -> tuple[Member, ...]:
    """Read the members and make sure that they answer the same question, of images prepared the same.

    Raises:
        InputError: fewer than `fewest`, one that is no finished run, named twice or an ensemble itself, or
            one that differs from the first in its task, its classes or its preprocessing.
    """
    if len(paths) < fewest:
        raise InputError(
            f"{len(paths)} run{'s' * (len(paths) != 1)} to put together: expected {fewest} or more"
        )
    members = tuple(_read(path) for path in paths)
    seen: dict[str, Path] = {}
    for member in members:
        for run in member.runs:
            digest = run.manifest[WEIGHTS]
            if digest in seen:
                raise InputError(f"{run.path} and {seen[digest]} are one and the same network; name others")
            seen[digest] = run.path
            _check(run, members[0].runs[0])
    return members


def _read(path: Path) -> Member:
    record = path / crossval.RECORD
    if not record.is_file():
        return Member(path, (bundle.read(path),))
    held = json.loads(record.read_text(encoding="utf-8"))
    if held.get("format") != crossval.FORMAT or not held.get("finished"):
        raise InputError(f"{path}: a cross-validation that is not finished; give its command again")
    if held["settings"]["fold_over"] != "train":
        raise InputError(
            f"{path}: its folds divide the test images too, so that each is known to some network: "
            "cross-validate with --fold-over train"
        )
    folds = range(1, int(held["settings"]["folds"]) + 1)
    return Member(path, tuple(bundle.read(path / f"fold-{number}") for number in folds), is_crossed=True)


def _check(run: Bundle, first: Bundle) -> None:
    """Raise InputError where a run does not go with the first."""
    if "members" in run.run.get("model", {}):
        raise InputError(f"{run.path}: is an ensemble itself; name its members")
    if run.task.name != first.task.name or run.task.activation not in ("softmax", "sigmoid"):
        raise InputError(
            f"{run.path}: its task is {run.task.name}, and {first.path} is {first.task.name}: expected runs "
            "of one task, about classes"
        )
    if run.labels != first.labels:
        ours, theirs = set(first.labels), set(run.labels)
        said = (
            "the same classes in another order"
            if ours == theirs
            else f"classes {_few(theirs - ours)} that it alone knows, and {_few(ours - theirs)} that it lacks"
        )
        raise InputError(f"{run.path}: has {said}, beside {first.path}: train both on one set")
    one, other = (json.loads(each.preprocess.to_json()) for each in (first, run))
    for name in one:
        if one[name] != other.get(name):
            raise InputError(
                f"{run.path} prepares images by {name} {other.get(name)}, and {first.path} by {one[name]}: "
                "members see one picture; train both with the same --image-size, --colour, --resize, --crop "
                "and --adapt"
            )


def _few(names: set[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(repr(name) for name in sorted(names)[:3]) or "none") + more


def whole(members: Sequence[Member]) -> Config:
    """Return the settings by which the data of all members is read, its splits included; no fold's."""
    plain = next((member for member in members if not member.is_crossed), members[0])
    return plain.config.replace(fold="")


def check_data(members: Sequence[Member], source: "Source") -> None:
    """Make sure that every member learned from, and left out, the very images that the others did.

    Otherwise an image that one is tested on may have taught another, and figures would flatter.

    Raises:
        InputError: one has other data, or other splits of it.
    """
    from imgrec.data.sources.folds import fold_fingerprint

    for member in members:
        for run in member.runs:
            config = from_mapping(run.config)
            data = config.data
            wanted = (
                fold_fingerprint(source.fingerprint, data.fold, data.fold_over, config.split_seed)
                if data.fold
                else source.fingerprint
            )
            if run.run["data"]["fingerprint"] != wanted:
                raise InputError(
                    f"{run.path}: its data is not, or not split as, {source.name} is for the others: an "
                    "image that one is tested on may have taught another; train members on one set with one "
                    "--split-seed"
                )


def record_of(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Return what run.json has of the members: where they were, their networks and their weights' sha256."""
    return [
        {
            "path": str(member.path),
            "networks": [run.run["model"]["name"] for run in member.runs],
            "sha256": [run.manifest[WEIGHTS] for run in member.runs],
        }
        for member in members
    ]
