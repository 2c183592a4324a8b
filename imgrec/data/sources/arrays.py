"""Images that lie in arrays: `npz:FILE`, `idx:DIR`, `keras:NAME`."""

import hashlib
import socket
import zipfile
from pathlib import Path

import numpy as np

from imgrec.data.sources.class_names import BY_TEST_LABELS, KERAS_SETS
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.idx import has_part, read_idx
from imgrec.errors import InputError
from imgrec.registry import lookup

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]

_NPZ_NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("x", "y"), ("images", "labels")),
    "val": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}


def load_npz(file: str) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Read splits and class names from an `.npz` file; pickled objects are refused.

    Arrays: `x_train, y_train, x_test, y_test[, x_val, y_val]` (or `train_images, train_labels`…), or
    `x, y`, or `images, labels`; images uint8 `[N, H, W]` or `[N, H, W, 1|3]`, labels integers or
    strings `[N]` or `[N, 1]`; or floats, which are values and not classes.
    With integer labels an array `classes` of strings may name them.

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
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"npz:{file}: cannot be read ({error}); expected arrays without pickled objects"
        ) from None
    arrays: Arrays = {}
    for part, pairs in _NPZ_NAMES.items():
        pair = next((pair for pair in pairs if set(pair) <= set(held)), None)
        if pair:
            arrays[part] = (held[pair[0]], held[pair[1]])
    if "train" not in arrays:
        found = ", ".join(sorted(held)) or "nothing"
        raise InputError(f"npz:{file}: holds {found}; expected x_train and y_train, or x and y")
    names = tuple(str(name) for name in held["classes"]) if "classes" in held else None
    return from_arrays(arrays, names, f"npz:{file}")


def load_idx(folder: str) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Read splits and class names from a folder in MNIST's format; `labels.txt` in it may name the classes.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"idx:{folder}: no such folder")
    arrays: Arrays = {"train": read_idx(path, "train")}
    if has_part(path, "t10k"):
        arrays["test"] = read_idx(path, "t10k")
    digest = hashlib.sha256(arrays["test"][1].tobytes()).hexdigest() if "test" in arrays else ""
    names: tuple[str, ...] | None = BY_TEST_LABELS.get(digest)
    if (path / "labels.txt").is_file():
        names = tuple((path / "labels.txt").read_text(encoding="utf-8").splitlines())
    return from_arrays(arrays, names, f"idx:{folder}")


def load_keras(name: str, timeout: float = 20.0) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Fetch one of Keras's small data sets, or read it from Keras's cache.

    Raises:
        InputError: an unknown name, or no network within `timeout` seconds.
    """
    classes = lookup(KERAS_SETS, name, "keras: data set")
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


def from_arrays(
    arrays: Arrays, names: tuple[str, ...] | None, source: str
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Check arrays and number their labels; ids are `<split>-<index>`.

    Without `names` the classes are the labels that occur, in order.

    Raises:
        InputError: images are not uint8 `[N, H, W]` or `[N, H, W, 1|3]`, or labels do not fit them.
    """
    images = {part: _images(x, f"{source}: {part}") for part, (x, _) in arrays.items()}
    raw = {part: _labels(y, len(images[part]), f"{source}: {part}") for part, (_, y) in arrays.items()}
    held = np.concatenate(list(raw.values()))
    if held.dtype.kind == "f":
        classes = names or ("value",)
        if len(classes) != 1 or not np.isfinite(held).all():
            raise InputError(f"{source}: labels are numbers; expected finite ones, and one name in classes")
        labels = {part: y.astype(np.float32) for part, y in raw.items()}
    else:
        classes, found = _classes(np.unique(held), names, source)
        labels = {part: np.searchsorted(found, y).astype(np.int32) for part, y in raw.items()}
    ids = {part: tuple(f"{part}-{index:05d}" for index in range(len(x))) for part, x in images.items()}
    return {part: Split(ids[part], labels[part], x) for part, x in images.items()}, classes


def _classes(
    found: np.ndarray, names: tuple[str, ...] | None, source: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the classes and their labels, of which `found` occur."""
    if names is not None and found.dtype.kind in "iu":
        if found.min() < 0 or found.max() >= len(names):
            raise InputError(f"{source}: labels {found.min()} to {found.max()}, but {len(names)} class names")
        found = np.arange(len(names))
    if names is None or len(names) != len(found):
        names = tuple(str(label) for label in found)
    return names, found


def _images(x: np.ndarray, what: str) -> np.ndarray:
    if x.dtype != np.uint8:
        raise InputError(f"{what} images are {x.dtype}, expected uint8 from 0 to 255")
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or not x.size:
        raise InputError(f"{what} images have shape {list(x.shape)}, expected [N, H, W] or [N, H, W, 1 or 3]")
    return x


def _labels(y: np.ndarray, count: int, what: str) -> np.ndarray:
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or y.dtype.kind not in "iuUf":
        raise InputError(
            f"{what} labels are {y.dtype} {list(y.shape)}, expected one integer, string or number an image"
        )
    if len(y) != count:
        raise InputError(f"{what} has {count} images but {len(y)} labels")
    return y
