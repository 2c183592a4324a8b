"""What a served model is called, and the digest that tells its versions apart."""

import hashlib
import re
from pathlib import Path

from imgrec import bundle, runtimes
from imgrec.files import sha256_of


def identity(path: Path) -> tuple[str, str, str]:
    """Return name, version and platform of what lies at `path`, a run folder or one of its files."""
    kind = runtimes.kind_of(path)
    whole = path.resolve()
    folder = whole.parent
    if kind == runtimes.RUN:
        named, digest = whole.name, sha256_of(whole / bundle.MANIFEST)
    elif whole.is_dir():
        named, digest = whole.stem, _digest_of(whole)
    else:
        named, digest = folder.parent.name if folder.name == "exports" else whole.stem, sha256_of(whole)
    return plain(named), digest, kind[1:] or "run"


def plain(name: str) -> str:
    """Return what a model is called by the name of its file or folder, as it may stand in an address."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "model"


def _digest_of(folder: Path) -> str:
    """Return one sha256 for a folder of files: of their names and digests."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
