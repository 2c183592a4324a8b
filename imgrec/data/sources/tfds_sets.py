"""`tfds:NAME[:DATA_DIR]`: sets in the on-disk format of TensorFlow Datasets, read without their code.

NAME is as TFDS has it, with a configuration or a version where there are several: `mnist`,
`cats_vs_dogs/4.0.1`. Stored images are handed on as the bytes they are, so that they are decoded as all
others; TFDS itself would use TensorFlow's inexact decoder. An image of a fixed size goes into an array,
others into files of the cache folder, once.
"""

import hashlib
import importlib.util
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.caches import cache_folder
from imgrec.data.decode import decode
from imgrec.data.header import SUFFIXES, sniff
from imgrec.data.sources.dataset import Arrays, Split
from imgrec.data.sources.folder import Entry, Listing, occurring
from imgrec.data.sources.layout import split_of
from imgrec.errors import InputError

_MARKS = ("dataset_info.json", "features.json")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def load_tfds(spec: str, max_pixels: int, download: bool = False) -> Arrays | Listing:
    """Read a prepared set: arrays where all images have one size, else the list of their files.

    Args:
        spec: `NAME` or `NAME:DATA_DIR`; the folder is by default TFDS's own, `~/tensorflow_datasets` or
            what the environment variable TFDS_DATA_DIR names.
        max_pixels: images with more are not decoded.
        download: whether TFDS may fetch and prepare a set that is not there. Otherwise nothing asks a
            network.

    Raises:
        InputError: no such set there, the package is missing, or a set without images and labels.
    """
    name, _, given = spec.partition(":")
    root = Path(os.path.expanduser(given or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"))
    what = f"tfds:{spec}"
    index = _find(root, name, what)
    if index is None and not download:
        raise InputError(
            f"{what}: nothing prepared in {root / name}; name its folder as tfds:{name}:DATA_DIR, "
            "or let TFDS fetch it by --download"
        )
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise InputError(f"{what}: needs the package tensorflow-datasets: pip install 'imgrec[tfds]'")
    return _Stored(_builder(index, name, root, what), what).load(max_pixels)


def _find(root: Path, name: str, what: str) -> Path | None:
    """Return the folder of the newest version of a set; None where there is none.

    Raises:
        InputError: several configurations, or a name that leads out of the folder.
    """
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{what}: expected tfds:NAME or tfds:NAME:DATA_DIR, such as tfds:mnist")
    found = [path.parent for path in (root / name).rglob(_MARKS[0]) if (path.parent / _MARKS[1]).is_file()]
    found = [path for path in found if _VERSION.fullmatch(path.name)]
    homes = sorted({path.parent for path in found})
    if len(homes) > 1:
        known = ", ".join(home.relative_to(root).as_posix() for home in homes)
        raise InputError(f"{what}: several configurations, name one of {known}")
    return max(found, key=lambda path: [int(part) for part in path.name.split(".")], default=None)


def _builder(index: Path | None, name: str, root: Path, what: str) -> Any:
    """Open the set in the folder `index`; without one let TFDS fetch and prepare it."""
    import tensorflow_datasets as tfds

    try:
        if index is not None:
            return tfds.builder_from_directory(str(index))
        builder = tfds.builder(name, data_dir=str(root))
        builder.download_and_prepare()
        return builder
    # No network, an unknown name, a damaged file: TFDS raises as it pleases.
    except Exception as error:
        failed = "could not be fetched" if index is None else f"{index} cannot be read"
        raise InputError(f"{what}: {failed} ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class _Stored:
    """The images and labels of a set that is prepared."""

    def __init__(self, builder: Any, what: str) -> None:
        import tensorflow_datasets as tfds

        self._builder, self._what = builder, what
        features = dict(builder.info.features)
        images = [key for key, value in features.items() if isinstance(value, tfds.features.Image)]
        labels = [key for key, value in features.items() if self._classes(value) is not None]
        first, second = builder.info.supervised_keys or (None, None)
        if first in images and second in labels:
            images, labels = [first], [second]
        if len(images) != 1 or len(labels) != 1:
            raise InputError(f"{what}: has {', '.join(features)}; expected one image and one class label")
        self._image, self._label = images[0], labels[0]
        self._shape = features[self._image].shape
        if np.dtype(features[self._image].np_dtype) not in (np.uint8, np.uint16):
            raise InputError(f"{what}: images of {np.dtype(features[self._image].np_dtype)}, expected bytes")
        named = self._classes(features[self._label])
        self.multi_label = not isinstance(features[self._label], tfds.features.ClassLabel)
        self.classes = tuple(str(name) for name in named.names)

    @staticmethod
    def _classes(feature: Any) -> Any:
        """The class label that a feature is, or is a list of; None for any other."""
        import tensorflow_datasets as tfds

        inner = getattr(feature, "feature", None)
        return next((f for f in (feature, inner) if isinstance(f, tfds.features.ClassLabel)), None)

    def load(self, max_pixels: int) -> Arrays | Listing:
        """The splits as arrays, or as files where images differ in size."""
        parts = self._parts()
        if None in self._shape:
            return self._as_files(parts)
        return {part: self._as_arrays(part, name, max_pixels) for part, name in parts.items()}, self.classes

    def _parts(self) -> dict[str, str]:
        """Our names of the splits to TFDS's; one whose labels are kept back is left out."""
        # Longest first: where several mean the same, the plainest counts.
        names = sorted(self._builder.info.splits, key=len, reverse=True)
        named = {part: name for name in names if (part := split_of(name))}
        if "train" not in named:
            raise InputError(
                f"{self._what}: has the splits {', '.join(self._builder.info.splits)} and no train"
            )
        return {
            part: name for part, name in sorted(named.items()) if part == "train" or self._is_labelled(name)
        }

    def _is_labelled(self, name: str) -> bool:
        _, label = next(self._examples(name), (b"", -1))
        return self.multi_label or int(label) >= 0

    def _examples(self, name: str) -> Iterator[tuple[bytes, Any]]:
        """The bytes and the label or labels of every image of a split, in the order they are stored."""
        import tensorflow as tf
        import tensorflow_datasets as tfds

        decoders = {self._image: tfds.decode.SkipDecoding()}
        try:
            data = self._builder.as_dataset(split=name, decoders=decoders, shuffle_files=False)
            for example in data.as_numpy_iterator():
                yield example[self._image], example[self._label]
        except (tf.errors.OpError, OSError, AssertionError) as error:
            raise InputError(
                f"{self._what}: the split {name} cannot be read ({_first_line(error)})"
            ) from None

    def _labels(self, raw: list[Any]) -> np.ndarray:
        if not self.multi_label:
            labels = np.array(raw, np.int32)
            if labels.size and not 0 <= labels.min() <= labels.max() < len(self.classes):
                raise InputError(f"{self._what}: images without a label among those that have one")
            return labels
        marked = np.zeros((len(raw), len(self.classes)), np.float32)
        for row, held in zip(marked, raw, strict=True):
            row[np.asarray(held, np.int64)] = 1
        return marked

    def _as_arrays(self, part: str, name: str, max_pixels: int) -> Split:
        images, labels = [], []
        for number, (data, label) in enumerate(self._examples(name)):
            images.append(decode(data, max_pixels, f"{self._what}: {part}-{number:05d}"))
            labels.append(label)
        # A set of colour may hold grey files.
        channels = max(image.shape[-1] for image in images)
        images = [np.broadcast_to(image, (*image.shape[:2], channels)) for image in images]
        ids = tuple(f"{part}-{number:05d}" for number in range(len(images)))
        return Split(ids, self._labels(labels), np.stack(images))

    def _as_files(self, parts: Mapping[str, str]) -> Listing:
        """Write the stored bytes into the cache folder, if they are not there, and list them."""
        index = Path(str(self._builder.data_dir))
        digest = hashlib.sha256(str(index.resolve()).encode())
        for mark in _MARKS:
            digest.update((index / mark).read_bytes())
        root = cache_folder("tfds") / f"{self._builder.name}-{digest.hexdigest()[:24]}"
        if not root.is_dir():
            self._write(root, parts)
        entries: list[Entry] = []
        for part in parts:
            files = sorted(file for file in os.listdir(root / part) if not file.endswith(".npy"))
            labels = np.load(root / part / "labels.npy", allow_pickle=False)
            for file, label in zip(files, labels, strict=True):
                held = np.flatnonzero(label) if self.multi_label else [label]
                names = tuple(self.classes[number] for number in held)
                entries.append(Entry(f"{part}/{file}", str(root / part / file), part, names))
        classes = occurring(entries, parts, self.classes, self.multi_label)
        folders = {part: part for part in parts}
        unseen = [name for name in self.classes if not any(name in held for held in classes.values())]
        notes = (f"classes of the set without images: {', '.join(unseen)}",) if unseen else ()
        return Listing(
            root, folders, classes, tuple(entries), multi_label=self.multi_label, origin=root, notes=notes
        )

    def _write(self, root: Path, parts: Mapping[str, str]) -> None:
        unfinished = root.with_name(f"{root.name}.{os.getpid()}.unfinished")
        try:
            for part, name in parts.items():
                (unfinished / part).mkdir(parents=True)
                labels = []
                for number, (data, label) in enumerate(self._examples(name)):
                    suffix = SUFFIXES.get(sniff(data) or "", (".png",))[0]
                    (unfinished / part / f"{number:07d}{suffix}").write_bytes(data)
                    labels.append(label)
                np.save(unfinished / part / "labels.npy", self._labels(labels))
            os.replace(unfinished, root)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
