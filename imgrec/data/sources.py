"""`--data SPEC` → `Source`: the one place that knows the schemes."""

import dataclasses
import statistics
from collections.abc import Callable, Iterable

from imgrec.config import DataConfig
from imgrec.data.arrays import load_idx, load_keras, load_npz
from imgrec.data.check import FileFacts, check_files
from imgrec.data.dataset import Colour, Source, Split, fingerprint
from imgrec.data.folder import scan_folder
from imgrec.data.sample import load_sample
from imgrec.data.splits import check_classes, complete
from imgrec.registry import lookup

__all__ = ["Source", "Split", "load_source"]

_SCHEMES: dict[str, Callable[[str], tuple[dict[str, Split], tuple[str, ...]]]] = {
    "npz": load_npz,
    "idx": load_idx,
    "keras": load_keras,
}


def load_source(data: DataConfig, seed: int) -> Source:
    """Load the source that `data.data` names, with its three splits.

    Splits that are not given are made, stratified and by `seed`: see `splits.complete`. The embedded
    sample has its own. Files of a folder are all decoded once; see `check.py`.

    Raises:
        InputError: an unknown scheme, nothing there, one class only, a class without images or
            missing from a split, too few images to split, or a file that cannot be read (all named).
    """
    if data.data == "sample":
        source = load_sample()
        return source if data.colour == "auto" else dataclasses.replace(source, colour=data.colour)
    scheme, colon, rest = data.data.partition(":")
    # One letter before the colon is a Windows drive.
    if colon and len(scheme) > 1 and "/" not in scheme:
        given, classes = lookup(_SCHEMES, scheme, "scheme of --data (beside sample and folders)")(rest)
        return _finish(data, given, classes, seed, ())
    given, classes, notes = scan_folder(data.data)
    return _finish(data, given, classes, seed, notes)


def _finish(
    data: DataConfig, given: dict[str, Split], classes: tuple[str, ...], seed: int, notes: tuple[str, ...]
) -> Source:
    check_classes(given, classes, data.data)
    splits, made = complete(given, classes, seed)
    order = [splits[part] for part in ("train", "val", "test")]
    facts = _check(order, data.max_pixels)
    colour: Colour = _colour(order[0], facts) if data.colour == "auto" else data.colour
    digest = fingerprint(classes, order, {path: fact.sha256 for path, fact in facts.items()})
    return Source(
        classes, colour, order[0], order[1], order[2], digest, data.data, _side(order[0], facts), notes + made
    )


def _check(splits: Iterable[Split], max_pixels: int) -> dict[str, FileFacts]:
    """Decode every file; return what was found, by path."""
    rows = [row for split in splits for row in zip(split.paths or (), split.ids, strict=False)]
    if not rows:
        return {}
    paths, names = zip(*rows, strict=True)
    return dict(zip(paths, check_files(paths, names, max_pixels), strict=True))


def _colour(train: Split, facts: dict[str, FileFacts]) -> Colour:
    """Grey only when every training image is stored as grey."""
    if train.images is not None:
        return "grey" if train.images.shape[-1] == 1 else "rgb"
    return "grey" if all(facts[path].grey for path in train.paths or ()) else "rgb"


def _side(train: Split, facts: dict[str, FileFacts]) -> int:
    """Return the median of the training images' shorter sides."""
    if train.images is not None:
        return min(train.images.shape[1:3])
    return statistics.median_low(min(facts[path].height, facts[path].width) for path in train.paths or ())
