"""Classes that are empty, tiny, or missing from a split."""

from collections import Counter
from collections.abc import Mapping, Sequence

from imgrec.data.audit.findings import Finding
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.folder import Listing

TINY = 10
"""A class of fewer training images than this is called tiny."""


def check_classes(listing: Listing, usable: set[int]) -> list[Finding]:
    """Return what is wrong with the classes of a folder, given the positions of its usable entries.

    Without given splits the class folders stand for all three, and `tiny` counts them together. A label
    among several may be too rare to be in every split.
    """
    entries = (listing.entries[i] for i in usable)
    counts = Counter((entry.part, label) for entry in entries for label in entry.labels)
    findings = []
    for part, labels in listing.classes.items():
        for label in labels:
            findings += _check(listing, part, label, counts[part, label])
        for label in listing.trained:
            if label not in labels and not listing.multi_label:
                code, detail = "class_missing_from_split", f"{part} has no image of class {label!r}"
                findings.append(Finding(listing.class_id(part, label), code, detail))
    return findings


def check_splits(splits: Mapping[str, Split], classes: Sequence[str]) -> list[Finding]:
    """The same for arrays, whose classes are those that occur; ids are `<split>/<class>`."""
    findings = []
    for part, split in splits.items():
        for label, count in zip(classes, split.counts(len(classes)).tolist(), strict=True):
            if count and not (part == "train" and count < TINY):
                continue
            code = "tiny_class" if count else "class_missing_from_split"
            findings.append(Finding(f"{part}/{label}", code, f"class {label!r} has {count} images in {part}"))
    return findings


def _check(listing: Listing, part: str, label: str, count: int) -> list[Finding]:
    name = listing.class_id(part, label)
    if label not in listing.trained:
        detail = f"{part} has a class {label!r} that train lacks"
        return [Finding(name, "class_only_outside_train", detail)]
    if not count:
        code = "empty_class" if part == "train" else "class_missing_from_split"
        return [Finding(name, code, f"class {label!r} has no usable images in {part}")]
    # Training makes the splits that are not given out of this one.
    parts = 4 - len(listing.classes)
    if part == "train" and count < parts and not listing.multi_label:
        detail = f"class {label!r} has {count} of at least {parts} images, one for each split"
        return [Finding(name, "too_few", detail)]
    if part == "train" and count < TINY:
        detail = f"class {label!r} has {count} image{'s' * (count > 1)}; fewer than {TINY} teach little"
        return [Finding(name, "tiny_class", detail)]
    return []
