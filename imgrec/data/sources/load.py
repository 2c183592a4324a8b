"""`--data SPEC` → `Source`: the one place that knows the schemes."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from imgrec.config import DataConfig
from imgrec.data.audit import compare, policy
from imgrec.data.audit.examine import Limits
from imgrec.data.audit.findings import Finding
from imgrec.data.audit.scan import Scan, scan
from imgrec.data.sources.arrays import load_idx, load_keras, load_npz
from imgrec.data.sources.csv_file import list_csv
from imgrec.data.sources.dataset import Arrays, Colour, Source, Split, fingerprint
from imgrec.data.sources.extra import with_extra
from imgrec.data.sources.folder import Listing, list_folder, list_unlabeled
from imgrec.data.sources.folds import in_fold
from imgrec.data.sources.names import trimmed, unified
from imgrec.data.sources.new_classes import with_new_classes
from imgrec.data.sources.objects import check_whole, together
from imgrec.data.sources.opened import Opened, with_bits
from imgrec.data.sources.sample import load_sample
from imgrec.data.sources.splits import check_classes, complete, missing
from imgrec.data.sources.tfds_sets import load_tfds
from imgrec.errors import InputError
from imgrec.registry import lookup

__all__ = ["Opened", "Source", "Split", "load_given", "load_source", "open_data"]


def open_data(data: DataConfig, unlabeled: bool = False) -> Opened:
    """Read what `data.data` names; examine the files of a folder or table, each of them once.

    With `unlabeled` a folder of images without class folders is read too; it has no classes.

    Raises:
        InputError: an unknown scheme, nothing there, or a quarantine list that cannot be read.
    """
    scheme, colon, rest = data.data.partition(":")
    # One letter before the colon is a Windows drive.
    is_scheme = colon and len(scheme) > 1 and "/" not in scheme
    if data.data == "sample":
        sample = load_sample()
        return _open_arrays(data, sample.splits, sample.classes)
    if not is_scheme:
        loose = list_unlabeled(data.data) if unlabeled else None
        return _open_listed(data, loose or list_folder(data.data))
    held = lookup(_SCHEMES, scheme, "scheme of --data (beside sample and folders)")(data, rest)
    return _open_listed(data, held) if isinstance(held, Listing) else _open_arrays(data, *held)


def _open_arrays(data: DataConfig, given: dict[str, Split], classes: tuple[str, ...]) -> Opened:
    names = unified(classes, data.data)
    classes, listed = tuple(names.values()), _quarantined(data, None)
    gone = {name for split in given.values() for name in split.ids} & set(listed)
    if gone:
        kept = {part: [name not in gone for name in split.ids] for part, split in given.items()}
        given = {part: split.take(np.flatnonzero(kept[part])) for part, split in given.items()}
    findings = tuple(
        Finding(name, "quarantined", "left out: the quarantine list names it") for name in sorted(gone)
    )
    notes = (*trimmed([names]), *_left_out(len(gone), len(listed)))
    return Opened(given, classes, {}, None, findings, notes)


_SCHEMES: dict[str, Callable[[DataConfig, str], Listing | Arrays]] = {
    "csv": lambda data, rest: list_csv(rest),
    "npz": lambda data, rest: load_npz(rest),
    "idx": lambda data, rest: load_idx(rest),
    "keras": lambda data, rest: load_keras(rest),
    "tfds": lambda data, rest: load_tfds(rest, data.max_pixels, data.download),
}


def _quarantined(data: DataConfig, root: Path | None) -> dict[str, str]:
    """Read the quarantine list; one that was named must be there, unless it is about to be written."""
    required = bool(data.quarantine) and data.policy != "quarantine"
    return policy.read_list(policy.list_path(data.quarantine, root), required)


def _open_listed(data: DataConfig, listing: Listing) -> Opened:
    listing = listing.named(data.data)
    listed = _quarantined(data, listing.root)
    seen = scan(listing, Limits(data.max_pixels, data.max_bytes), listed)
    usable = {index for index in seen.usable if set(listing.entries[index].labels) <= set(listing.trained)}
    examined = {listing.entries[index].path: seen.examined[index] for index in usable}
    notes = (*listing.passed_over(), *listing.notes, *_left_out(len(seen.quarantined), len(listed)))
    return Opened(listing.splits(usable), listing.trained, examined, seen, seen.findings, notes)


def _left_out(gone: int, listed: int) -> tuple[str, ...]:
    if not listed:
        return ()
    unknown = f"; {listed - gone} more of its lines name nothing here" if listed > gone else ""
    return (f"left out {gone} images that the quarantine list names{unknown}",)


def load_source(data: DataConfig, seed: int) -> Source:
    """Load the source that `data.data` names, with its three splits.

    Splits that are not given are made, stratified and by `seed`: see `splits.complete`. The embedded
    sample has its own. With `data.fold` they are those of one fold: see `folds.py`. Files of a folder or
    table are all decoded once, and broken ones dealt with by `data.policy`: see `audit/policy.py`. Those of
    `data.extra_data` are added to the training split, see `extra.py`, and classes of `data.new_classes`
    behind the others, see `new_classes.py`. With `data.audit`, `Source.findings` also says which images there
    are copies of.

    Raises:
        InputError: an unknown scheme, nothing there, one class only, a class without images or
            missing from a split, too few images to split, or a file that cannot be read (all named).
    """
    opened = open_data(data)
    notes = opened.notes + _apply_policy(data, opened)
    check_classes(opened.given, opened.classes, data.data)
    source = dataclasses.replace(to_source(data, opened, seed), findings=opened.findings)
    examined = opened.examined
    if data.fold:
        source = in_fold(
            source, data.fold, data.fold_over, seed, _kept_together(source.splits, opened.digests)
        )
    if data.extra_data:
        elsewhere = dataclasses.replace(data, data=data.extra_data, quarantine="")
        more = open_data(elsewhere)
        notes += _apply_policy(elsewhere, more)
        examined = {**examined, **more.examined}
        source = with_bits(with_extra(source, more, data), examined)
    if data.new_classes:
        elsewhere = dataclasses.replace(data, data=data.new_classes, quarantine="")
        more = open_data(elsewhere)
        notes += _apply_policy(elsewhere, more)
        examined = {**examined, **more.examined}
        source = with_new_classes(source, more, data)
    if data.audit:
        copies = compare.copies(source, examined)
        notes += compare.notes(copies)
        source = dataclasses.replace(source, findings=source.findings + tuple(copies))
    return dataclasses.replace(source, notes=notes + source.notes + missing(source.splits, source.classes))


def load_given(data: DataConfig) -> Opened:
    """Load what `data.data` names as it stands: its splits, a single one as `train`; none is made.

    Raises:
        InputError: nothing there, or a file that cannot be read and may not be passed over.
    """
    opened = open_data(data)
    return dataclasses.replace(opened, notes=opened.notes + _apply_policy(data, opened))


def _apply_policy(data: DataConfig, opened: Opened) -> tuple[str, ...]:
    """Refuse, list or pass over what is broken; return what to say about it."""
    broken = policy.broken_files(opened.findings)
    _check_folders(data.data, opened.scan)
    if not broken:
        return ()
    if data.policy == "strict":
        policy.refuse(broken)
    if data.policy == "skip" or opened.scan is None:
        return (
            f"left out {len(broken)} broken files; python -m pipelines.audit --data {data.data} names them",
        )
    path = policy.list_path(data.quarantine, opened.scan.listing.root)
    assert path is not None
    policy.extend_list(path, broken)
    return (f"left out {len(broken)} broken files, now listed in {path}",)


def _check_folders(name: str, seen: Scan | None) -> None:
    """Refuse a folder or table whose classes are no set to learn from, broken files apart."""
    if seen is None:
        return
    listing = seen.listing
    images = (entry for entry in listing.entries if entry.is_image)
    filled = {(entry.part, label) for entry in images for label in entry.labels}
    for part, labels in listing.classes.items():
        for label in labels:
            if label not in listing.trained:
                raise InputError(f"{name}: {part} has a class {label!r} that train lacks")
            if (part, label) not in filled and not listing.multi_label:
                raise InputError(
                    f"{listing.root / listing.folders[part]}: class {label!r} has no images; "
                    "add some or take the folder out"
                )


def _kept_together(given: Mapping[str, Split], digests: Mapping[str, str]) -> dict[str, str]:
    """What of each image, by its id, no split may part: copies of it, and pictures of one object."""
    return together(given, _contents(given, digests))


def _contents(given: Mapping[str, Split], digests: Mapping[str, str]) -> dict[str, str]:
    """The digest of every image by its id."""
    held: dict[str, str] = {}
    for split in given.values():
        if split.images is None:
            held |= {name: digests[path] for name, path in zip(split.ids, split.paths or (), strict=True)}
        else:
            pixels = (np.ascontiguousarray(image).data for image in split.images)
            held |= {name: sha256(data).hexdigest() for name, data in zip(split.ids, pixels, strict=True)}
    return held


def to_source(data: DataConfig, opened: Opened, seed: int) -> Source:
    """Complete the splits of what was opened.

    Raises:
        InputError: a class is too small to be divided.
    """
    facts = {path: one.facts for path, one in opened.examined.items() if one.facts is not None}
    digests = opened.digests
    check_whole(opened.given, data.data)
    contents = {} if len(opened.given) == 3 else _kept_together(opened.given, digests)
    splits, made = complete(opened.given, opened.classes, seed, contents)
    train, val, test = (splits[part] for part in ("train", "val", "test"))
    if train.images is not None:
        colour: Colour = "grey" if train.images.shape[-1] == 1 else "rgb"
        side = min(train.images.shape[1:3])
    else:
        held = [facts[path] for path in train.paths or ()]
        # Grey only when every training image is stored as grey.
        colour = "grey" if all(fact.grey for fact in held) else "rgb"
        side = statistics.median_low(min(fact.height, fact.width) for fact in held)
    if data.colour != "auto":
        colour = data.colour
    digest = fingerprint(opened.classes, (train, val, test), digests)
    source = Source(opened.classes, colour, train, val, test, digest, data.data, side, made)
    return with_bits(source, opened.examined)
