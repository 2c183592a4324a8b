"""The files that say what an audit found: audit.json, images.csv, suspects.txt and index.html."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imgrec import files
from imgrec.data.audit import policy
from imgrec.data.audit.findings import printable
from imgrec.data.audit.neighbours import perceptual_hashes
from imgrec.data.decode import decode
from imgrec.data.preprocess import read_file
from imgrec.evaluation.audit_page import write_page
from imgrec.runs.audit.inspection import Inspection


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
    files.write_text(out / "images.csv", _table(seen))
    wrong = [finding for finding in seen.findings if finding.code == "label_suspect"]
    (out / "suspects.txt").unlink(missing_ok=True)
    policy.extend_list(out / "suspects.txt", wrong)
    write_page(out / "index.html", seen.data, seen.findings, seen.facts, shower(seen), seen.notes, command)


def _table(seen: Inspection) -> str:
    """Return images.csv: every image, its scores, and the codes of what was found."""
    codes: dict[str, list[str]] = defaultdict(list)
    for finding in seen.findings:
        codes[finding.id].append(finding.code)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    scores = ["brightness", "contrast", "blur", "haze", "label_quality"]
    table.writerow(["id", "split", "class", *scores, "phash", "sha256", "codes"])
    held = seen.facts
    quality = [""] * len(held.ids) if seen.quality is None else [f"{value:.4f}" for value in seen.quality]
    hashes = perceptual_hashes(held.thumbnails)
    for row, name in enumerate(held.ids):
        figures = [f"{value:.4f}" for value in held.scores[row]]
        table.writerow(
            [name, held.splits[row], held.labels[row], *figures, quality[row],
             f"{hashes[row]:016x}", held.digests[row], " ".join(codes[name])]
        )  # fmt: skip
    for name in sorted(seen.files - set(held.ids)):
        table.writerow([name, *[""] * 9, " ".join(codes[name])])
    return text.getvalue()


def shower(seen: Inspection) -> Callable[[str], np.ndarray | None]:
    """Return id → pixels uint8 `[h, w, C]` of a usable image; None for any other."""
    indices = {
        printable(name): (split, i) for split in seen.splits.values() for i, name in enumerate(split.ids)
    }

    # Decoding these once more would print what libjpeg thinks of them.
    noisy = {finding.id for finding in seen.findings if finding.code == "stray_data"}

    def show(name: str) -> np.ndarray | None:
        if name not in indices or name in noisy:
            return None
        split, index = indices[name]
        if split.images is not None:
            return split.images[index]
        path = (split.paths or ())[index]
        return decode(read_file(path), 1 << 62, name)

    return show
