"""What is said of an audit, and done about what it found."""

from pathlib import Path

from imgrec.data.audit import policy
from imgrec.data.audit.findings import CODES
from imgrec.errors import InputError
from imgrec.runs.audit.inspection import Inspection
from imgrec.runs.audit.settings import AuditSettings


def check_out(out: Path) -> None:
    """Refuse a place that cannot be written before any work is done."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file, expected a folder to write the findings to")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}; name a folder that can be written") from None


def summary(seen: Inspection) -> list[str]:
    """A line for each note and, worst first, for each kind of finding."""
    counts = seen.counts
    return [
        *(f"note: {note}" for note in seen.notes),
        f"{len(seen.facts.ids):,} images can be trained on, {len(seen.files):,} files or images seen",
        *(f"{counts[code]:>8,}  {kind.severity:<8} {code:<28} {kind.meaning}"
          for code, kind in CODES.items() if counts[code]),
        *([] if counts else ["nothing found"]),
    ]  # fmt: skip


def act(settings: AuditSettings, seen: Inspection) -> tuple[int, list[str]]:
    """Do what the policy says about what is broken; return the exit code, and what was done, as lines.

    Raises:
        InputError: something is broken under --policy strict, or there is no place for a quarantine list.
    """
    broken = policy.broken_files(seen.findings)
    if settings.policy == "strict":
        policy.refuse(broken)
    if settings.policy == "report" or not broken:
        return (1 if broken else 0), []
    files = [finding for finding in broken if finding.id in seen.files]
    code = 1 if len(files) < len(broken) else 0  # a broken folder stays in training's way
    if settings.policy == "skip":
        return code, [f"skip: {len(files)} files are left out by train --policy skip"]
    path = policy.list_path(settings.quarantine, seen.root)
    if path is None:
        raise InputError(f"--policy quarantine with {settings.data}: name the list by --quarantine FILE")
    return code, [f"quarantine: {policy.extend_list(path, files)} files added to {path}"]
