"""What an audit leaves: audit.json, images.csv, suspects.txt, index.html, some lines, and what is done."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgrec import files, places
from imgrec.data.audit import policy
from imgrec.data.audit.findings import CODES, printable
from imgrec.data.audit.neighbours import perceptual_hashes
from imgrec.data.decode import decode
from imgrec.data.preprocess import read_file
from imgrec.errors import InputError
from imgrec.evaluation.audit_page import write_page
from imgrec.runs.audit.inspection import Inspection
from imgrec.runs.audit.settings import AuditSettings


def check_out(out: Path) -> None:
    """Make the folder, or refuse one that cannot be written before any work is done."""
    places.make_folder(out)


def write(seen: Inspection, out: Path, command: str) -> None:
    """Write audit.json, images.csv, suspects.txt and index.html."""
    record = {
        "data": seen.data,
        "images": len(seen.facts.ids),
        "files": len(seen.files),
        "counts": dict(seen.counts),
        "notes": list(seen.notes),
        "issues": [finding.record() for finding in seen.findings],
    }
    files.write_json(out / "audit.json", record)
    files.write_csv(out / "images.csv", _table(seen))
    wrong = [finding for finding in seen.findings if finding.code == "label_suspect"]
    (out / "suspects.txt").unlink(missing_ok=True)
    policy.extend_list(out / "suspects.txt", wrong)
    write_page(out / "index.html", seen.data, seen.findings, seen.facts, shower(seen), seen.notes, command)


def _table(seen: Inspection) -> Iterator[list[Any]]:
    """Give the rows of images.csv: every image, its scores, and the codes of what was found."""
    codes: dict[str, list[str]] = defaultdict(list)
    for finding in seen.findings:
        codes[finding.id].append(finding.code)
    scores = ["brightness", "contrast", "blur", "haze", "label_quality"]
    yield ["id", "split", "class", *scores, "phash", "sha256", "codes"]
    held = seen.facts
    quality = [""] * len(held.ids) if seen.quality is None else [f"{value:.4f}" for value in seen.quality]
    hashes = perceptual_hashes(held.thumbnails)
    for row, name in enumerate(held.ids):
        figures = [f"{value:.4f}" for value in held.scores[row]]
        about = [held.splits[row], held.labels[row], *figures, quality[row]]
        yield [name, *about, f"{hashes[row]:016x}", held.digests[row], " ".join(codes[name])]
    for name in sorted(seen.files - set(held.ids)):
        yield [name, *[""] * 9, " ".join(codes[name])]


def shower(seen: Inspection) -> Callable[[str], np.ndarray | None]:
    """Return id → pixels uint8 `[h, w, C]` of a usable image; None for any other."""
    indices = {
        printable(name): (split, i) for split in seen.splits.values() for i, name in enumerate(split.ids)
    }

    def show(name: str) -> np.ndarray | None:
        if name not in indices:
            return None
        split, index = indices[name]
        if split.images is not None:
            return split.images[index]
        path = (split.paths or ())[index]
        return decode(read_file(path), 1 << 62, name, bits=None)

    return show


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
