"""Answers a great many images into a file: `predict --out`."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imgrec import bundle, runtimes
from imgrec.data.finding import Images
from imgrec.errors import InputError
from imgrec.processors import cores
from imgrec.serving.batch import parts
from imgrec.serving.batch.engines import ENGINES, Crew
from imgrec.serving.batch.parts import SIZE, Job
from imgrec.serving.batch.settings import BatchSettings
from imgrec.serving.identity import identity
from imgrec.store.locks import locked

EVERY = 5.0
"""Seconds between two lines of progress, at least."""


def listed(listing: Path) -> list[Path]:
    """Return the images that a listing names, one path or file:// address a line.

    Raises:
        InputError: it cannot be read, names an address elsewhere or nothing at all.
    """
    try:
        lines = listing.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise InputError(f"--listing {listing}: {error.strerror or error}") from None
    found = [_path(line.strip(), listing) for line in lines if line.strip()]
    if not found:
        raise InputError(f"--listing {listing}: names no image; expected one path a line")
    return found


def _path(line: str, listing: Path) -> Path:
    kind = urlsplit(line)
    if kind.scheme == "file" and kind.netloc in ("", "localhost"):
        return Path(unquote(kind.path))
    if "://" in line:
        raise InputError(
            f"--listing {listing}: {line[:200]}: expected paths or file:// addresses; mount the bucket as a "
            "folder (every large provider has a tool for that) and name its files by that"
        )
    return Path(line)


def answer_all(
    found: Images, run: Path, top: int, keras: bool, asked: BatchSettings, say: Callable[[str], None]
) -> tuple[int, int]:
    """Answer all images into `asked.out`; return how many rows there are, and how many are errors.

    Raises:
        InputError: the file is there already, an earlier command asked something else, a model that cannot
            be loaded, or an engine that is not there.
    """
    images = [str(path.absolute()) for path in found.files]
    out = asked.out.absolute()
    job = Job(run.absolute(), _version_of(run), keras, top, out.with_name(out.name + ".parts"))
    if out.exists() and not job.folder.exists():
        raise InputError(f"--out {asked.out}: is there already; delete it or name another file")
    parts.begin(job, images)
    with locked(job.folder / ".lock"):
        if not (job.folder / parts.PLAN).exists():
            raise InputError(f"--out {asked.out}: another command has just written it")
        missing = parts.begin(job, images)
        try:
            _answer(job, images, missing, asked, say)
        except InputError:
            parts.forget_if_nothing_done(job)
            raise
        closed = [{"path": str(folder), "error": reason} for folder, reason in found.closed]
        return parts.merge(job, out, -(-len(images) // SIZE), closed)


def _version_of(run: Path) -> str:
    """Return the digest of a run folder or file. Raises InputError where there is none."""
    if runtimes.kind_of(run) == runtimes.RUN:
        bundle.verify(run)
    elif not run.exists():
        raise InputError(f"{run}: no such file")
    return identity(run)[1]


def _answer(
    job: Job, images: Sequence[str], missing: Sequence[int], asked: BatchSettings, say: Callable[[str], None]
) -> None:
    """Have the missing parts answered, and say how far it is."""
    count = -(-len(images) // SIZE)
    if len(missing) < count:
        say(f"going on: {count - len(missing)} of {count} parts were answered by an earlier command")
    if not missing:
        return
    sizes = {part: len(parts.images_of(part, images)) for part in missing}
    crew = Crew(min(asked.jobs or cores(), len(missing)), asked.address)
    work = [(part, parts.images_of(part, images)) for part in missing]
    begun = told = time.monotonic()
    answered, total = 0, sum(sizes.values())
    for part in ENGINES[asked.engine](job, work, crew):
        answered += sizes[part]
        now = time.monotonic()
        if now - told >= EVERY or answered == total:
            told, rate = now, answered / max(now - begun, 1e-9)
            say(
                f"{answered:,} of {total:,} images, {rate:,.0f} img/s, {(total - answered) / rate:.0f} s left"
            )
