"""Images that lie in arrays: `npz:FILE`, `idx:DIR`, `keras:NAME`."""

import gzip
import hashlib
import socket
import zipfile
import zlib
from pathlib import Path

import numpy as np

from imgrec.data.sources.dataset import Arrays, Split
from imgrec.data.sources.names import unified
from imgrec.data.sources.sample import CLASSES as FASHION_MNIST
from imgrec.errors import InputError
from imgrec.registry import lookup

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]
"""Images and labels as they are stored, by split."""

_NPZ_NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("x", "y"), ("images", "labels")),
    "val": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}

# Class names of well-known sets whose files carry numbers only, in the order of those numbers.
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

_KERAS_SETS: dict[str, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": FASHION_MNIST,
    "cifar10": tuple(_CIFAR10.split()),
    "cifar100": tuple(_CIFAR100.split()),
}
# By the sha256 of the test labels' bytes.
_BY_TEST_LABELS: dict[str, tuple[str, ...]] = {
    "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9": FASHION_MNIST
}


def load_npz(file: str) -> Arrays:
    """Read splits and class names from an `.npz` file; pickled objects are refused.

    Arrays: `x_train, y_train, x_test, y_test[, x_val, y_val]` (or `train_images, train_labels`…), or
    `x, y`, or `images, labels`; images uint8 `[N, H, W]` or `[N, H, W, 1|3]`, labels integers or
    strings `[N]` or `[N, 1]`; or floats, which are values and not classes.
    An array `classes` of strings may name the classes: of string labels in the order that is meant, of
    integer labels 0, 1 … one name each.

    Raises:
        InputError: no such file, no such arrays, or arrays of another kind.
    """
    path = Path(file)
    if not path.is_file():
        raise InputError(f"npz:{file}: no such file")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(
                    f"npz:{file}: a single array, expected an .npz archive with x_train, y_train…"
                )
            held = {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"npz:{file}: cannot be read ({error}); expected arrays without pickled objects"
        ) from None
    arrays: Pairs = {}
    for part, pairs in _NPZ_NAMES.items():
        pair = next((pair for pair in pairs if set(pair) <= set(held)), None)
        if pair:
            arrays[part] = (held[pair[0]], held[pair[1]])
    if "train" not in arrays:
        found = ", ".join(sorted(held)) or "nothing"
        raise InputError(f"npz:{file}: holds {found}; expected x_train and y_train, or x and y")
    names = _names(held["classes"], f"npz:{file}") if "classes" in held else None
    return from_arrays(arrays, names, f"npz:{file}")


def _names(classes: np.ndarray, what: str) -> tuple[str, ...]:
    """The array `classes` of an archive as names."""
    classes = _text(classes, f"{what}: classes")
    counted = classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(classes.size))
    if classes.ndim != 1 or not (classes.dtype.kind == "U" or counted):
        raise InputError(
            f"{what}: classes is {classes.dtype} {list(classes.shape)}, expected strings, one name a class"
        )
    return tuple(str(name) for name in classes)


def _text(values: np.ndarray, what: str) -> np.ndarray:
    """Bytes as strings; others as they are."""
    try:
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    except UnicodeDecodeError as error:
        raise InputError(f"{what} are not UTF-8 text ({error.reason}); save them as strings") from None


def load_idx(folder: str) -> Arrays:
    """Read splits and class names from a folder in MNIST's format; `labels.txt` in it may name the classes.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"idx:{folder}: no such folder")
    arrays: Pairs = {"train": read_idx(path, "train")}
    if _idx_file(path, "t10k-images-idx3-ubyte"):
        arrays["test"] = read_idx(path, "t10k")
    digest = hashlib.sha256(arrays["test"][1].tobytes()).hexdigest() if "test" in arrays else ""
    names: tuple[str, ...] | None = _BY_TEST_LABELS.get(digest)
    if (path / "labels.txt").is_file():
        names = _listed_names(path / "labels.txt")
    return from_arrays(arrays, names, f"idx:{folder}")


def _listed_names(file: Path) -> tuple[str, ...]:
    """The lines of a text file; empty ones at its end do not count."""
    try:
        return tuple(file.read_text(encoding="utf-8-sig").rstrip("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}; expected UTF-8 text, one class name a line") from None


def read_idx(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one part (`train` or `t10k`) of a folder in MNIST's format, gzipped or not.

    Returns:
        images uint8 `[N, H, W]` and labels uint8 `[N]`.

    Raises:
        InputError: a file is missing or damaged, or images and labels differ in number.
    """
    images = _read_idx_file(folder, f"{prefix}-images-idx3-ubyte", dimensions=3)
    labels = _read_idx_file(folder, f"{prefix}-labels-idx1-ubyte", dimensions=1)
    if len(images) != len(labels):
        raise InputError(f"{folder}: {prefix} has {len(images)} images but {len(labels)} labels")
    return images, labels


def _idx_file(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()), None)


def _read_idx_file(folder: Path, stem: str, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes: magic, sizes as big-endian 32-bit numbers, then the data."""
    path = _idx_file(folder, stem)
    if path is None:
        raise InputError(f"{folder}: no {stem} or {stem}.gz; expected a folder in MNIST's IDX format")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch the file again") from None
    start = 4 + 4 * dimensions
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < start:
        raise InputError(f"{path}: not an IDX file of {dimensions}-dimensional unsigned bytes")
    shape = tuple(np.frombuffer(data, ">u4", count=dimensions, offset=4).tolist())
    count = int(np.prod(shape, dtype=np.int64))
    if len(data) - start != count:
        raise InputError(f"{path}: header promises {count} bytes of data, the file holds {len(data) - start}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def load_keras(name: str, timeout: float = 20.0) -> Arrays:
    """Fetch one of Keras's small data sets, or read it from Keras's cache.

    Raises:
        InputError: an unknown name, or no network within `timeout` seconds.
    """
    classes = lookup(_KERAS_SETS, name, "keras: data set")
    import keras

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout)
    try:
        train, test = getattr(keras.datasets, name).load_data()
    # Keras wraps a failed download in a bare Exception.
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"keras:{name}: could not be fetched ({reason}); it needs a network, "
            "or a copy as npz:FILE or idx:DIR"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    return from_arrays({"train": train, "test": test}, classes, f"keras:{name}")


def from_arrays(arrays: Pairs, names: tuple[str, ...] | None, source: str) -> Arrays:
    """Check arrays and number their labels; ids are `<split>-<index>`.

    Without `names` the classes are the labels that occur, in order. Strings are looked up in `names`, and
    integers count them from 0.

    Raises:
        InputError: images are not uint8 `[N, H, W]` or `[N, H, W, 1|3]`, or labels do not fit them, each
            other or `names`.
    """
    images = {part: _images(x, f"{source}: {part}") for part, (x, _) in arrays.items()}
    raw = {part: _labels(y, len(images[part]), f"{source}: {part}") for part, (_, y) in arrays.items()}
    kinds = {part: y.dtype.kind for part, y in raw.items()}
    if len(set(kinds.values())) > 1:
        said = ", ".join(f"{part} {_KINDS[kind]}" for part, kind in kinds.items())
        raise InputError(f"{source}: labels of several kinds ({said}); expected one kind in all splits")
    held = np.concatenate(list(raw.values()))
    names = None if names is None else tuple(unified(names, f"{source}: classes").values())
    if held.dtype.kind == "f":
        classes = names or ("value",)
        if len(classes) != 1 or not np.isfinite(held).all():
            raise InputError(f"{source}: labels are numbers; expected finite ones, and one name in classes")
        labels = {part: y.astype(np.float32) for part, y in raw.items()}
    else:
        found = np.unique(held)
        classes, numbers = (_matched if held.dtype.kind == "U" else _counted)(found, names, source)
        labels = {part: numbers[np.searchsorted(found, y)].astype(np.int32) for part, y in raw.items()}
    ids = {part: tuple(f"{part}-{index:05d}" for index in range(len(x))) for part, x in images.items()}
    return {part: Split(ids[part], labels[part], x) for part, x in images.items()}, classes


_KINDS = {"i": "integers", "U": "strings", "f": "numbers with a fraction"}


def _counted(
    found: np.ndarray, names: tuple[str, ...] | None, source: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the classes of the integer labels `found`, and the number of the class of each of them."""
    if names is None:
        return tuple(str(label) for label in found), np.arange(len(found))
    if found.min() < 0 or found.max() >= len(names):
        raise InputError(
            f"{source}: labels {found.min()} to {found.max()}, but {len(names)} class names; expected labels "
            f"from 0 to {len(names) - 1}, by the place of their name"
        )
    return names, found


def _matched(
    found: np.ndarray, names: tuple[str, ...] | None, source: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the classes of the string labels `found`, and the number of the class of each of them."""
    written = unified(map(str, found), f"{source}: labels")
    classes = tuple(written.values()) if names is None else names
    numbers = {name: number for number, name in enumerate(classes)}
    foreign = [name for name in written.values() if name not in numbers]
    if foreign:
        raise InputError(
            f"{source}: of the labels {len(foreign)} not in classes, such as {foreign[0]!r}; classes has "
            f"{', '.join(classes[:10])}{' …' if len(classes) > 10 else ''}; expected all labels there"
        )
    return classes, np.array([numbers[name] for name in written.values()])


def _images(x: np.ndarray, what: str) -> np.ndarray:
    if x.dtype != np.uint8:
        raise InputError(f"{what} images are {x.dtype}, expected uint8 from 0 to 255")
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or not x.size:
        raise InputError(f"{what} images have shape {list(x.shape)}, expected [N, H, W] or [N, H, W, 1 or 3]")
    return x


def _labels(y: np.ndarray, count: int, what: str) -> np.ndarray:
    y = _text(y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y, f"{what} labels")
    if y.ndim != 1 or y.dtype.kind not in "iuUf":
        raise InputError(
            f"{what} labels are {y.dtype} {list(y.shape)}, expected one integer, string or number an image"
        )
    if len(y) != count:
        raise InputError(f"{what} has {count} images but {len(y)} labels")
    return y.astype(np.int64) if y.dtype.kind == "u" else y
