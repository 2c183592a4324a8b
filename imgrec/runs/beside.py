"""Folders of what is made of a finished run: beside it, for the run itself is sealed."""

import json
from pathlib import Path

from imgrec import bundle
from imgrec.errors import InputError


def place(run: Path, out: Path | None, kind: str, name: str) -> Path:
    """Return the folder that comes of a run: `out`, or by default RUN.`kind`/`name`, beside the run.

    Raises:
        InputError: `out` is within a run, or holds something else than an earlier result of this `kind`.
    """
    run = run.resolve()
    folder = out if out is not None else run.with_name(f"{run.name}.{kind}") / name
    if folder.resolve().is_relative_to(run):
        raise InputError(f"--out {folder}: lies in the run {run}, which is sealed; name a folder beside it")
    outside_runs(folder)
    bundle.check_out(folder)
    record = folder / "run.json"
    if record.is_file() and json.loads(record.read_text(encoding="utf-8")).get("kind") != kind:
        raise InputError(f"--out {folder}: holds a run, and not {kind}; name another folder")
    return folder


def outside_runs(folder: Path) -> None:
    """Raise InputError where a folder to write lies in a run, which is sealed."""
    for above in folder.resolve().parents:  # such as the run whose exports hold a pruned one
        if (above / bundle.MANIFEST).is_file() and (above / "run.json").is_file():
            raise InputError(
                f"--out {folder}: lies in the run {above}, which is sealed; name another by --out"
            )
