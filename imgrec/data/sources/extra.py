"""More images to train on (`--extra-data`), such as made ones: never in validation or test."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from imgrec.config import DataConfig
from imgrec.data.decode import Bits
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Colour, Source, Split, fingerprint
from imgrec.data.sources.opened import Opened, bits_in_use
from imgrec.errors import InputError
from imgrec.registry import lookup

MARK = "extra:"
"""How the id of such an image begins; the path below its folder follows."""
RECORD = "synthesis.json"
"""Where `pipelines.synthesize` says what a folder of its images was learned from."""


def with_extra(source: Source, more: Opened, data: DataConfig) -> Source:
    """Return `source` with the images of a folder added to its training split.

    They are files where the training images are; where those are arrays, they are decoded and brought to
    their size by `data.resize`.

    Args:
        source: a set with its three splits.
        more: what was opened, a folder of class folders. Their names are classes of the set, or as
            `folder_name` writes them.
        data: settings; `data.extra_data` is the folder.

    Raises:
        InputError: no folder, one with splits of its own, or with a class that the set lacks.
    """
    folder = data.extra_data
    if more.scan is None:
        raise InputError(f"--extra-data {folder}: expected a folder with one folder of images a class")
    if set(more.given) != {"train"} or more.scan.listing.folders["train"]:
        raise InputError(
            f"--extra-data {folder}: has splits of its own; expected class folders only, for all of its "
            "images go to the training split"
        )
    extra = _labelled(more.given["train"], more.classes, source, folder)
    total = hashlib.sha256(f"{source.fingerprint}\n{fingerprint((), [extra], more.digests)}".encode())
    extra = stored_alike(source.train, extra, data, bits_in_use(extra, more.examined))
    classes = f"{len(more.classes)} class{'' if len(more.classes) == 1 else 'es'}"
    note = f"--extra-data: {len(extra):,} images of {classes} added to the training split"
    return dataclasses.replace(
        source,
        train=source.train.joined(extra),
        fingerprint=total.hexdigest(),
        notes=(*source.notes, note, *_provenance(Path(folder), source)),
        findings=source.findings
        + tuple(dataclasses.replace(found, id=MARK + found.id) for found in more.findings),
    )


def stored_alike(beside: Split, added: Split, data: DataConfig, bits: Bits) -> Split:
    """Return files as `beside` holds its images: as arrays of their size where it has arrays."""
    if beside.images is None:
        return added
    height, width, channels = beside.images.shape[1:]
    colour: Colour = "grey" if channels == 1 else "rgb"
    like = Preprocess((height, width), colour, data.resize, max_pixels=data.max_pixels, bits=bits)
    images = [like.on_file(path) for path in added.paths or ()]
    return Split(added.ids, added.labels, images=np.stack(images) if images else beside.images[:0])


def _labelled(split: Split, folders: tuple[str, ...], source: Source, name: str) -> Split:
    """The images with marked ids and the labels of the set."""
    known = {label: number for number, label in enumerate(source.classes)}
    kind = f"class in --extra-data {name}, which must be one of the data's"
    names = (folder if folder in known else unquote(folder) for folder in folders)
    numbers = [lookup(known, class_name, kind) for class_name in names]
    if source.train.kind == "value":
        raise InputError(f"--extra-data {name}: class folders cannot say values; leave it out")
    labels = np.array(numbers, np.int32)[split.labels]
    if source.train.kind != "class":
        labels = np.eye(len(known), dtype=source.train.labels.dtype)[labels]
    ids = tuple(MARK + name for name in split.ids)
    return dataclasses.replace(split, ids=ids, labels=labels.astype(source.train.labels.dtype))


def folder_name(label: str) -> str:
    """Return a class's name fit for a folder: what no file system takes is written as in addresses, `%2F`.

    So are a dot at the beginning and two underscores, which mark what is passed over.
    """
    escaped = re.sub(r'[\x00-\x1f%/\\:*?"<>|]', _percent, label)
    return re.sub(r"^\.|^_(?=_)|[. ]$", _percent, escaped)


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found.group()):02X}"


def _provenance(folder: Path, source: Source) -> tuple[str, ...]:
    """What to say where made images were learned from other splits than those of `source`."""
    path = folder / RECORD
    if not path.is_file():
        return ()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        learned = record["source"]["fingerprint"], record["settings"]["data"], record["settings"]["seed"]
    except (OSError, ValueError, KeyError, TypeError):
        return (f"{path}: cannot be read, so nobody knows what these images were learned from",)
    if learned[0] == source.fingerprint:
        return ()
    return (
        f"the extra images were learned from --data {learned[1]} --seed {learned[2]}, divided otherwise than "
        "here: some test images may have been among them, so do not trust the figures; give both commands "
        "the same --data and --seed",
    )
