"""What training does about broken files: stop, list and leave out, or leave out. Nothing is ever deleted."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from imgrec.data.audit.findings import Finding
from imgrec.errors import InputError
from imgrec.files import write_text

LIST_NAME = "quarantine.txt"
_HEAD = """\
# Files that training leaves out, one a line: its path, a tab, the reason. Written by the audit of imgrec;
# add lines (the reason may be missing) or take lines out as you see fit.
"""


def broken_files(findings: Iterable[Finding]) -> list[Finding]:
    """The first broken finding of every id, in order."""
    first: dict[str, Finding] = {}
    for finding in findings:
        if finding.broken:
            first.setdefault(finding.id, finding)
    return list(first.values())


def refuse(broken: Sequence[Finding]) -> None:
    """Raise InputError that names the first broken file and counts the others; nothing when none is."""
    if not broken:
        return
    others = f" (and {len(broken) - 1} more such files)" if len(broken) > 1 else ""
    advice = "; --policy quarantine or skip trains without" if others else ""
    raise InputError(f"{broken[0].id}: {broken[0].detail}{others}{advice}")


def list_path(given: str, root: Path | None) -> Path | None:
    """Where the quarantine list is: where `--quarantine` says, else in the data folder, if it is one."""
    if given:
        return Path(given)
    return None if root is None else root / LIST_NAME


def read_list(path: Path | None, required: bool = False) -> dict[str, str]:
    """Return id → reason of every line of a quarantine list; nothing where there is none.

    Raises:
        InputError: the list cannot be read, or is `required` and not there.
    """
    if path is None or not (required or path.exists()):
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: {reason}; expected a list of files to leave out, one a line") from None
    rows = (line.partition("\t") for line in lines if line.strip() and not line.startswith("#"))
    return {name: reason for name, _, reason in rows}


def extend_list(path: Path, findings: Iterable[Finding]) -> int:
    """Add findings to a quarantine list, those that it has not yet; return how many were new.

    Raises:
        InputError: the list cannot be written.
    """
    held = read_list(path)
    new = {f.id: f"{f.code}: {f.detail}" for f in findings if f.id not in held}
    if not new:
        return 0
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    text += "" if text.endswith("\n") else "\n"
    try:
        write_text(path, text + "".join(f"{name}\t{reason}\n" for name, reason in new.items()))
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}; name a file that can be written by --quarantine, or use --policy skip"
        ) from None
    return len(new)
