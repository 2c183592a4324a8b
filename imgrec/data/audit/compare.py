"""The images of a set compared with one another, from its files or its arrays."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np

from imgrec.data.audit.cache import read_findings, write_findings
from imgrec.data.audit.duplicates import ImageFacts, find_duplicates
from imgrec.data.audit.examine import Examined
from imgrec.data.audit.findings import Finding, printable
from imgrec.data.audit.neighbours import THRESHOLDS
from imgrec.data.audit.scores import THUMBNAIL_BYTES, Scores, measure
from imgrec.data.sources.dataset import Source, Split
from imgrec.data.sources.labels import worded

_LEAKS = {
    "duplicate_across_splits": "are in two splits, byte for byte",
    "near_duplicate_across_splits": "look like one in another split",
    "two_labels": "have a copy under another label",
}


def copies(
    source: Source, examined: Mapping[str, Examined], measured: ImageFacts | None = None
) -> list[Finding]:
    """Return the findings on images that occur more than once, from the cache where they are there.

    `measured` spares measuring them again.
    """
    key = hashlib.sha256(f"{source.fingerprint} {THRESHOLDS}".encode()).hexdigest()
    held = read_findings(key)
    if held is None:
        held = find_duplicates(measured or image_facts(source.splits, source.classes, examined))
        write_findings(key, held)
    return held


def image_facts(
    splits: Mapping[str, Split], classes: Sequence[str], examined: Mapping[str, Examined]
) -> ImageFacts:
    """Put together what is known of every image, in the order of the splits; arrays are measured here."""
    rows = [_row(split, index, examined) for split in splits.values() for index in range(len(split))]
    digests, thumbnails, scores = zip(*rows, strict=True) if rows else ((), (), ())
    return ImageFacts(
        ids=tuple(printable(name) for split in splits.values() for name in split.ids),
        splits=tuple(part for part, split in splits.items() for _ in split.ids),
        labels=tuple(text for split in splits.values() for text in worded(split.labels, classes)),
        digests=digests,
        thumbnails=np.frombuffer(b"".join(thumbnails), np.uint8).reshape(-1, THUMBNAIL_BYTES),
        scores=np.fromiter(chain.from_iterable(scores), np.float32).reshape(-1, len(Scores._fields)),
    )


def _row(split: Split, index: int, examined: Mapping[str, Examined]) -> tuple[str, bytes, Scores]:
    if split.images is not None:
        pixels = split.images[index]
        scores, thumbnail = measure(pixels)
        return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(), thumbnail, scores
    one = examined[(split.paths or ())[index]]
    assert one.facts is not None and one.scores is not None
    return one.facts.sha256, one.thumbnail, one.scores


def notes(findings: Iterable[Finding]) -> tuple[str, ...]:
    """One line for each kind of finding that makes figures of a training untrue."""
    counts = Counter(finding.code for finding in findings)
    return tuple(f"audit: {counts[code]:,} images {words}" for code, words in _LEAKS.items() if counts[code])
