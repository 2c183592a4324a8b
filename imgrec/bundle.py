"""The run folder: written under another name and renamed when whole, verified before it is read.

`read` needs neither TensorFlow nor Keras, so that a `.tflite` is served without them; `load` imports them.
"""

import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from imgrec import places, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.files import json_text, sha256_of, write_json
from imgrec.frameworks import import_frameworks
from imgrec.guards import keras_file
from imgrec.guards.documents import parse, read_json, read_text
from imgrec.tasks.task import Task

if TYPE_CHECKING:
    import keras

MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
"""Folder of an unfinished run from which it can go on; a finished run has none."""
RUN_FILES = frozenset({"run.json", "model.keras", "preprocess.json", "labels.txt"})
"""What no run folder lacks."""
LEFT = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that desktops leave in the folders they show; nothing reads them."""
FORMAT = 1
RESTORE = "train again or restore the folder"
_claims: dict[Path, int] = {}
"""Open lock files of the runs that this process writes."""


@dataclass(frozen=True)
class Bundle:
    """What a run folder says of itself, without the model."""

    path: Path
    preprocess: Preprocess
    task: Task
    manifest: dict[str, str]
    run: dict[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the outputs."""
        return self.task.classes

    @property
    def config(self) -> dict[str, Any]:
        """The config tree of the run, as in run.json."""
        return self.run["config"]


@dataclass(frozen=True)
class LoadedBundle(Bundle):
    """A run folder with its model."""

    model: "keras.Model"


def begin(out: Path) -> Path:
    """Return an empty folder in which a run is written; `finish` puts it in the place of `out`.

    An older unfinished folder of the same name is removed (`unfinished` finds it, to go on with); a finished
    run in `out` stays until then.

    Raises:
        InputError: `out` is a file, or a folder that holds something that is no run of ours.
    """
    check_out(out)
    staging = staging_of(out)
    if staging.exists():
        claim(staging)  # not from under the hands of another process
        shutil.rmtree(staging)
    claim(staging)
    return staging


def claim(staging: Path) -> None:
    """Make sure that no other process writes to an unfinished run, as long as this one lives.

    Raises:
        InputError: another does.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        staging.mkdir(parents=True, exist_ok=True)
        return
    (staging / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    release(staging)
    descriptor = os.open(staging / CHECKPOINTS / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InputError(
            f"{staging}: another process is writing this run; wait, or name another --out"
        ) from None
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        return  # a file system without locks
    _claims[staging] = descriptor


def release(staging: Path) -> None:
    """Let another process write to an unfinished run that this one has claimed."""
    if staging in _claims:
        os.close(_claims.pop(staging))


def discard(out: Path) -> None:
    """Remove what this process has begun of a run to `out`; what another one writes stays."""
    staging = staging_of(out)
    if staging in _claims:
        release(staging)
        shutil.rmtree(staging)


def unfinished(out: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the folder of a run to `out` that did not finish but left checkpoints, and its run.json."""
    staging = staging_of(out)
    if not (_is_run(staging) and any((staging / CHECKPOINTS).glob("*/*"))):
        return None
    return staging, json.loads((staging / "run.json").read_text(encoding="utf-8"))


def check_out(out: Path) -> None:
    """Prove that a run can be written to `out`, before anything is done.

    Raises:
        InputError: it cannot; or something is there, or in the way, that is no run and may not be replaced.
    """
    place = places.prove(out)
    begun = place.is_inside and _is_run(place.staging)
    if places.has_content(out) and not _is_run(out) and not begun:
        raise InputError(
            f"--out {out}: the folder holds files that are not an imgrec run; name a new or empty folder"
        )
    staging, retired = place.staging, place.retired
    if staging.exists() and not (staging.is_dir() and (_is_run(staging) or _only_ours(staging))):
        raise InputError(
            f"{staging}: in the way, and not an unfinished imgrec run; move it or name another --out"
        )
    if not place.is_inside and retired.exists() and not _is_run(retired):
        raise InputError(f"{retired}: in the way, and not an imgrec run; move it or name another --out")


def staging_of(out: Path) -> Path:
    """Return the folder in which a run to `out` is written until it is whole."""
    return places.place_of(out).staging


def _is_run(folder: Path) -> bool:
    """Whether the folder's run.json was written by us."""
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _only_ours(folder: Path) -> bool:
    ours = {"tensorboard", "exports", "report", CHECKPOINTS, MANIFEST}
    return all(entry.name in ours for entry in folder.iterdir())


def finish(staging: Path, out: Path) -> Path:
    """Write the manifest of `staging`, put it in the place of `out`, and drop what it went on from.

    Returns where the run is: `out`, or `staging` where all that was refused, which one line then says.
    """
    write_manifest(staging)
    place = dataclasses.replace(places.place_of(out), staging=staging)
    where = places.put(place, last=("run.json", MANIFEST), keep=CHECKPOINTS)
    release(staging)
    return out if where == place.target else where


def write_manifest(folder: Path) -> None:
    """Write the sha256 of every file of `folder` but checkpoints, by relative path; last of all."""
    write_json(folder / MANIFEST, {name: sha256_of(folder / name) for name in _files(folder)})


def _files(folder: Path) -> list[str]:
    """What a manifest lists: every file of a folder but itself, checkpoints and what desktops leave."""
    listed = (p for p in folder.rglob("*") if p.is_file() and folder / CHECKPOINTS not in p.parents)
    files = sorted(p for p in listed if p != folder / MANIFEST and p.name not in LEFT)
    return [p.relative_to(folder).as_posix() for p in files]


def verify(folder: Path, needed: frozenset[str] = RUN_FILES) -> dict[str, str]:
    """Check every file of a run folder against its manifest and return the manifest.

    Raises:
        InputError: no folder, no manifest, one that is not as it was written, or a file that is missing, was
            changed or was added (named).
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such run folder; `python -m pipelines.train --out {folder}` makes one"
        )
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder}: no {MANIFEST}: not a run folder, or its training did not finish")
    text = read_text(path, RESTORE)
    manifest = parse(text, str(path), RESTORE)
    for name, digest in manifest.items():
        file = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{path}: names {name!r}, outside the run folder")
        if not file.is_file():
            raise InputError(f"{folder}: {name} is missing, the manifest lists it; restore the folder")
        if sha256_of(file) != digest:
            raise InputError(f"{folder}: {name} is not the file the manifest lists (sha256 differs)")
    missing = needed - set(manifest)
    if missing:
        raise InputError(f"{path}: does not list {', '.join(sorted(missing))}; not a whole run folder")
    if added := sorted(set(_files(folder)) - set(manifest)):
        raise InputError(
            f"{folder}: {added[0]} is not in the manifest, it was added later; move it out of the run folder"
        )
    if text != json_text({name: manifest[name] for name in sorted(manifest, key=PurePosixPath)}):
        raise InputError(f"{path}: was changed after it was written; {RESTORE}")
    return manifest


def read(run_dir: str | Path) -> Bundle:
    """Verify a run folder and read all but the model.

    Raises:
        InputError: the folder is no finished run, or differs from its manifest.
    """
    folder = Path(run_dir)
    manifest = verify(folder)
    run = read_json(folder / "run.json", RESTORE)
    if run.get("format") != FORMAT:
        raise InputError(f"{folder}: run.json has format {run.get('format')!r}, this version reads {FORMAT}")
    preprocess = Preprocess.from_json(read_text(folder / "preprocess.json", RESTORE))
    return Bundle(folder, preprocess, tasks.read(folder), manifest, run)


def load(run_dir: str | Path) -> LoadedBundle:
    """Verify a run folder, rebuild its model from run.json and read the weights, and only those.

    The model computes in float32, whatever it was trained in.

    Raises:
        InputError: as `read` and `build_trained`.
    """
    bundle = read(run_dir)  # first, so that a wrong folder is refused before anything heavy is imported
    return LoadedBundle(**vars(bundle), model=build_trained(bundle))


def build_trained(bundle: Bundle) -> "keras.Model":
    """Build the model of a verified run folder in float32, with its weights.

    Nothing in model.keras is executed or looked up: the zoo's functions build the model from plain
    values, and shapes and types of all weights are compared with the file's before memory is taken for any.

    Raises:
        InputError: run.json names no model of the zoo, or model.keras is damaged or holds other weights.
    """
    import_frameworks()
    from imgrec import runtime
    from imgrec.models.outline import outline

    path, recorded = bundle.path / "model.keras", bundle.run.get("model", {})
    wanted = [(tuple(weight.shape), str(weight.dtype)) for weight in outline(recorded).weights]
    keras_file.check(path, wanted)
    with runtime.in_float32():
        model = build(recorded)
    try:
        model.load_weights(str(path))
    except (ValueError, KeyError) as error:  # names that lead nowhere: the shapes are right
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: its weights do not fit the model in run.json ({said})") from None
    return model


def build(recorded: Mapping[str, Any]) -> "keras.Model":
    """Build a model, with new weights, from the arguments that run.json records of it."""
    from imgrec.models.widths import rebuilt

    return rebuilt(recorded)
