"""What a model said of the images of a split, kept with the run, so that figures need no model again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.files import write_file
from imgrec.guards.arrays import read_arrays
from imgrec.metrics.answers import printable
from imgrec.tasks.task import Outputs, Task

FILE = "outputs.npz"
MOST_BYTES = 4_000_000_000
"""Of all arrays inside, unpacked: a million images of 1,000 classes."""
_KINDS = {"ids": "U", "labels": "iuf", "outputs": "f"}


@dataclass(frozen=True)
class Stored:
    """A model's outputs for the images of a split.

    ids: of the N images.
    labels: as `Split.labels` has them.
    outputs: float32 `[N, outputs]`, as the model gives them: logits, where the task is about classes.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.generic]
    outputs: Outputs

    @classmethod
    def of(cls, split: Split, outputs: Outputs) -> "Stored":
        """Return the outputs for the images of `split`, in their order."""
        return cls(tuple(map(printable, split.ids)), split.labels, outputs)


def write(folder: Path, splits: Mapping[str, Stored]) -> None:
    """Write `outputs.npz`: for every split `NAME_ids`, `NAME_labels` and `NAME_outputs`."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, held in splits.items():
        arrays[f"{name}_ids"] = np.array(held.ids, np.str_)
        arrays[f"{name}_labels"] = held.labels
        arrays[f"{name}_outputs"] = held.outputs.astype(np.float32, copy=False)
    write_file(folder / FILE, lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))


def read(folder: Path, task: Task) -> dict[str, Stored]:
    """Return the outputs of each split that `folder` holds; empty where a run is older than the file.

    Raises:
        InputError: the file is damaged, or holds other things than outputs of `task`.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    held = read_arrays(path, MOST_BYTES)
    names = [name.removesuffix("_outputs") for name in held if name.endswith("_outputs")]
    return {name: _checked(path, name, held, task) for name in names}


def _checked(path: Path, name: str, held: Mapping[str, NDArray[np.generic]], task: Task) -> Stored:
    """Return the arrays of one split.

    Raises:
        InputError: one is missing, or is not as the others and the task ask for.
    """
    parts = {part: held.get(f"{name}_{part}") for part in _KINDS}
    ids, labels, outputs = (parts[part] for part in _KINDS)
    if ids is None or labels is None or outputs is None:
        raise InputError(f"{path}: {name} lacks ids, labels or outputs; restore the folder")
    kinds = all(part is not None and part.dtype.kind in _KINDS[key] for key, part in parts.items())
    shape = (*ids.shape, task.outputs)
    if not kinds or ids.ndim != 1 or outputs.shape != shape or labels.shape[:1] != ids.shape:
        raise InputError(
            f"{path}: {name} has ids {ids.shape}, labels {labels.shape}, outputs {outputs.shape}: expected "
            f"texts, as many numbers, and outputs of shape {shape}; restore the folder"
        )
    return Stored(tuple(ids.tolist()), labels, outputs.astype(np.float32, copy=False))
