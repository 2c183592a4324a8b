"""How a version comes into a store: copied, verified, and asked for its golden answers."""

import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from imgrec import bundle, runtimes
from imgrec.errors import InputError
from imgrec.files import sync, write_json
from imgrec.serving.identity import identity
from imgrec.serving.predictor import Predictor
from imgrec.store import golden, pictures
from imgrec.store.golden import Golden
from imgrec.store.versions import FILE, RUN, Entry


def described(run: Path, pictures_from: str) -> tuple[Path, Entry]:
    """Return the folder of a run, and what is to be added of it, without a name.

    Args:
        run: a run folder, or a file in its `exports/`.
        pictures_from: a folder, `pictures.AUTO` or `pictures.DRAWN`.

    Raises:
        InputError: no finished run, or a file that none vouches for.
    """
    folder, serves = run, ""
    if runtimes.kind_of(run) != runtimes.RUN:
        folder, serves = run.absolute().parent.parent, f"exports/{run.name}"
        if run.absolute().parent.name != "exports" or not (folder / bundle.MANIFEST).is_file():
            raise InputError(
                f"{run}: lies in no run folder, whose manifest says that it is whole; name a run folder, or "
                "a file in its exports/"
            )
    bundle.verify(folder)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return folder, Entry("", identity(run)[1], serves, now, pictures_from)


def name_for(folder: Path) -> str:
    """Return what a version is called by its run folder."""
    return identity(folder)[0].lstrip("._-")[:56] or "run"


def fill(staging: Path, folder: Path, entry: Entry) -> None:
    """Write all of a version to `staging`, and flush it to disk.

    Raises:
        InputError: the run differs from its manifest or changed meanwhile, cannot answer, or there are no
            pictures.
    """
    copy = staging / RUN
    for file in (*bundle.verify(folder), bundle.MANIFEST):  # nothing else, and what a link leads to, no link
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file, copy / file)
    bundle.verify(copy)
    served = copy / entry.serves
    if identity(served)[1] != entry.digest:
        raise InputError(f"{folder}: changed while it was copied; add it again when it is finished")
    predictor = Predictor.load(served)
    chosen, where = pictures.chosen(entry.pictures, copy, predictor.preprocess)
    digest = golden.write(staging, Golden.of(predictor, chosen))
    whole = replace(entry, pictures=where, golden=digest, rounding=golden.rounding_of(entry.serves))
    write_json(staging / FILE, asdict(whole))
    for each in (staging, *staging.rglob("*")):
        sync(each)
