"""Decoded images kept in memory, where they fit (`--cache`): a file is then decoded once a run.

What is kept is uint8, as it is before augmentation: prepared images `[H, W, C]` or, where augmentation cuts
random parts out of more than that (a random resized crop), whole ones in their own size. So the pixels, the
order and the draws of augmentation are the same with and without.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imgrec.config.settings import Cache as Mode
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError

Stage = Literal["tensor", "array", "whole"]
"""How images are kept: prepared, for TensorFlow or for NumPy; or whole, a sequence of arrays."""

MARGIN = 0.5
"""Share of the free memory that `auto` may fill. The rest is for the network, its optimiser and the batches
under way, and for the copy that is made while prepared images become a tensor."""
UNKNOWN = 2 << 30
"""Free bytes where the machine does not tell."""
_SAMPLED = 64


class Cache:
    """What a run keeps in memory, shared by all of its datasets.

    `auto` keeps a set of images that needs at most `MARGIN` of the memory that is free when the cache is
    made, less what it keeps already; `memory` uses all of that; `none` keeps nothing.

    Args:
        mode: auto, memory or none.
        available: free bytes; None asks the machine.
    """

    def __init__(self, mode: Mode = "auto", available: int | None = None) -> None:
        self.mode = mode
        free = available_memory() if available is None else available
        self.room = {"auto": int(MARGIN * free), "memory": free, "none": 0}[mode]
        # The split beside what is kept of it stays alive, for its id is the key.
        self._held: dict[tuple[int, Preprocess, Stage], tuple[Split, Any]] = {}

    def keep(
        self,
        split: Split,
        preprocess: Preprocess,
        stage: Stage,
        needed: Callable[[], int],
        load: Callable[[], Any],
        name: str = "",
    ) -> Any:
        """Return what `load` gives, asked once for all datasets of a split; None where it is not kept.

        Args:
            split: the images.
            preprocess: how they become pixels.
            stage: which pixels.
            needed: gives the bytes that it takes.
            load: gives what is kept.
            name: what the images are for; with it, one printed line says what was decided.

        Raises:
            InputError: images with a name do not fit under `memory`.
        """
        key = (id(split), preprocess, stage)
        if key not in self._held:
            wanted = 0 if self.mode == "none" else needed()
            fits = self.mode != "none" and wanted <= self.room
            if name:
                print(self._line(name, len(split), wanted, fits), flush=True)
            self.room -= wanted if fits else 0
            self._held[key] = (split, load() if fits else None)
        return self._held[key][1]

    def _line(self, name: str, count: int, wanted: int, fits: bool) -> str:
        images = f"cache: {count:,} {name} images"
        if self.mode == "none":
            return f"{images} are decoded anew every epoch, by --cache none"
        sizes = f"{_size(wanted)} of the {_size(self.room)} that may be filled"
        if fits:
            return f"{images} are kept in memory, {sizes}"
        if self.mode == "memory":
            raise InputError(
                f"--cache memory: {count:,} {name} images need {_size(wanted)}, and {_size(self.room)} are "
                "free: use --cache auto, which decodes them anew every epoch, or a smaller --image-size"
            )
        return f"{images} would need {sizes}: decoded anew every epoch"


def prepared_bytes(split: Split, preprocess: Preprocess) -> int:
    """Return the bytes of all prepared images of a split: images × H × W × C."""
    return len(split) * int(np.prod(preprocess.shape))


def whole_bytes(split: Split, read: Callable[[int], np.ndarray]) -> int:
    """Return about the bytes of all whole images of a split: the mean of a sample, spread evenly, for each.

    `read` gives the image of an index.
    """
    indices = np.unique(np.linspace(0, len(split) - 1, min(len(split), _SAMPLED)).round().astype(int))
    return int(np.mean([read(index).nbytes for index in indices.tolist()]) * len(split))


def available_memory() -> int:
    """Return the bytes that new data may take: what Linux calls available, within the limit of a container.

    Elsewhere, or where that cannot be read, `UNKNOWN`.
    """
    free = [_meminfo(), *(_below(limit, used) for limit, used in _CONTAINER)]
    return min((value for value in free if value is not None), default=UNKNOWN)


_CGROUP = Path("/sys/fs/cgroup")
_CONTAINER: Sequence[tuple[Path, Path]] = (
    (_CGROUP / "memory.max", _CGROUP / "memory.current"),
    (_CGROUP / "memory/memory.limit_in_bytes", _CGROUP / "memory/memory.usage_in_bytes"),
)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _below(limit: Path, used: Path) -> int | None:
    """What a limit leaves, both in files; None where there is no such limit (`max`)."""
    try:
        numbers = [path.read_text(encoding="ascii").strip() for path in (limit, used)]
    except OSError:
        return None
    return max(0, int(numbers[0]) - int(numbers[1])) if all(map(str.isdigit, numbers)) else None


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
