"""What a source of images gives: three splits of ids, labels and pixels (or paths to them)."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np

from imgrec.data.audit.findings import Finding
from imgrec.data.decode import Bits
from imgrec.data.sources.labels import LabelKind, kind_of

NONE: Mapping[str, str] = MappingProxyType({})
Colour = Literal["grey", "rgb"]


@dataclass(frozen=True)
class Split:
    """Images of one purpose, in a fixed order; exactly one of `images` and `paths` is set.

    ids: stable names (an index in the original set, or a path below the root), `[N]`.
    labels: int32 `[N]`, indices into `Source.classes`, or of another kind: see `labels.py`.
    images: uint8 `[N, H, W, C]`, C = 1 or 3, or None.
    paths: files to decode, `[N]`, or None.
    attributes: what else a table says of the images: column → its cells, `[N]` each; nobody learns from them.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    images: np.ndarray | None = None
    paths: tuple[str, ...] | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.images is None) == (self.paths is None):
            raise ValueError("a Split holds either images or paths")
        held = len(self.images) if self.images is not None else len(self.paths or ())
        if not len(self.ids) == len(self.labels) == held:
            raise ValueError(f"a Split of {len(self.ids)} ids, {len(self.labels)} labels, {held} images")
        if any(len(cells) != held for cells in self.attributes.values()):
            raise ValueError(f"a Split of {held} images with attributes of another number")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: np.ndarray) -> "Split":
        """Return the examples at `indices`, in that order."""
        return Split(
            ids=tuple(self.ids[i] for i in indices),
            labels=self.labels[indices],
            images=None if self.images is None else self.images[indices],
            paths=None if self.paths is None else tuple(self.paths[i] for i in indices),
            attributes={name: tuple(cells[i] for i in indices) for name, cells in self.attributes.items()},
        )

    def joined(self, *others: "Split") -> "Split":
        """Return these images and those of `others`, one split after another; all arrays or all files.

        An attribute that one of them lacks has empty cells there.
        """
        parts = (self, *others)
        images = [part.images for part in parts if part.images is not None]
        return Split(
            ids=tuple(name for part in parts for name in part.ids),
            labels=np.concatenate([part.labels for part in parts]),
            images=np.concatenate(images) if images else None,
            paths=None if images else tuple(path for part in parts for path in part.paths or ()),
            attributes={
                name: tuple(
                    cell for part in parts for cell in part.attributes.get(name, ("",) * len(part.ids))
                )
                for name in dict.fromkeys(name for part in parts for name in part.attributes)
            },
        )

    @property
    def kind(self) -> LabelKind:
        """What kind of labels the images have."""
        return kind_of(self.labels)

    def counts(self, num_classes: int) -> np.ndarray:
        """Return the examples of each class, int64 `[num_classes]`; one may count for many."""
        if self.kind == "classes":
            return self.labels.sum(axis=0).astype(np.int64)
        if self.kind == "value":
            return np.array([len(self)])
        return np.bincount(self.labels, minlength=num_classes)


Arrays = tuple[dict[str, Split], tuple[str, ...]]
"""What a source of arrays holds: its splits, and the names of the classes."""


@dataclass(frozen=True)
class Source:
    """A set of labelled images, split, with a fingerprint of all that is in it.

    classes: names, in the order of the logits.
    colour: `grey` only when every training image is grey.
    fingerprint: sha256 over classes, ids, labels and contents of the three splits, hex.
    name: the specification it was loaded from, such as `sample` or `npz:digits.npz`.
    side: median of the training images' shorter sides, in pixels.
    notes: what the user should hear about, one line each, such as files that were passed over.
    findings: what the audit found, see `audit/findings.py`.
    held_out: in one fold of a cross-validation, the images that are judged unseen; else None. See `folds.py`.
    bits: how many of the 16 the training images' 16-bit files use, one of `decode.DEPTHS`.
    """

    classes: tuple[str, ...]
    colour: Colour
    train: Split
    val: Split
    test: Split
    fingerprint: str
    name: str
    side: int
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    held_out: Split | None = None
    bits: Bits = 16

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}


def fingerprint(classes: Iterable[str], splits: Iterable[Split], digests: Mapping[str, str] = NONE) -> str:
    """Return the sha256, hex, over class names and each split's ids, labels and contents.

    A file counts by the bytes it holds, not by its time stamp: `digests` has their sha256 by path.
    An array counts by shape and bytes.
    """
    total = hashlib.sha256("\n".join(classes).encode())
    for split in splits:
        total.update("\n".join(split.ids).encode("utf-8", "surrogateescape"))
        total.update(split.labels.astype("<f4" if split.kind == "value" else "<i4").tobytes())
        if split.images is not None:
            total.update(repr(split.images.shape).encode())
            total.update(np.ascontiguousarray(split.images).data if len(split) else b"")
        for path in split.paths or ():
            total.update(bytes.fromhex(digests[path]))
    return total.hexdigest()
