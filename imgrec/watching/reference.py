"""`watching.npz`: what images and answers were like when the model was trained, in its run folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.files import write_file
from imgrec.guards.arrays import read_arrays

FILE = "watching.npz"
LEAST = 100
"""Images from which on a change can be told within some hundreds of requests."""
MOST_BYTES = 64_000_000
NAMES = ("brightness", "contrast", "sharpness", "confidence", "unlikeness")


@dataclass(frozen=True)
class Reference:
    """Of N images that were not learned from.

    values: name, of `NAMES` → float32 `[N]`.
    labels: the model's answers, int32 `[N]`, indices of classes; empty where it names none.
    classes: how many there are.
    """

    values: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int32]
    classes: int


def write(folder: Path, reference: Reference) -> None:
    """Write `watching.npz`."""
    arrays = {**reference.values, "labels": reference.labels}
    write_file(folder / FILE, lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))


def read(folder: Path, classes: int) -> Reference | None:
    """Return what a run folder has for watching; None where it has nothing.

    Raises:
        InputError: the file is damaged, or holds anything that `write` does not write.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    held = read_arrays(path, MOST_BYTES)
    labels = held.pop("labels", np.zeros(0))
    values = {name: held[name] for name in NAMES if name in held}
    shapes = {part.shape for part in values.values()}
    long = len(shapes) == 1 and all(len(shape) == 1 and shape[0] >= LEAST for shape in shapes)
    numbers = all(part.dtype.kind == "f" and np.isfinite(part).all() for part in values.values())
    if set(held) - set(NAMES) or not long or not numbers:
        raise InputError(
            f"{path}: holds {', '.join(sorted(held))[:80]}: expected some of {', '.join(NAMES)}, finite "
            f"numbers of {LEAST} or more images each; restore the folder"
        )
    inside = (
        labels.dtype.kind == "i" and labels.ndim == 1 and (labels >= 0).all() and (labels < classes).all()
    )
    if not inside or (len(labels) and labels.shape not in shapes):
        raise InputError(f"{path}: labels are not answers of {classes} classes; restore the folder")
    single = {name: part.astype(np.float32) for name, part in values.items()}
    return Reference(single, labels.astype(np.int32), classes)
