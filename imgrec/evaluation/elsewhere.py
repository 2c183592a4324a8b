"""Images from anywhere, of which only pixels matter: to see what a model says of what it never learned."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgrec.config import DataConfig
from imgrec.data.finding import find_images
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.load import load_given
from imgrec.errors import InputError
from imgrec.evaluation.seeing import some


@dataclass(frozen=True)
class Elsewhere:
    """Images, labels left out.

    unread: how many files could not be read.
    """

    split: Split
    unread: int


def images_of(data: str, preprocess: Preprocess, most: int, seed: int = 0) -> Elsewhere:
    """Return at most so many images of a folder, with classes or without, or of any other data.

    Args:
        data: a folder, whose images count wherever in it they lie, or what `--data` takes.
        preprocess: how files become pixels.
        most: images, drawn by the seed where there are more.
        seed: of that.

    Raises:
        InputError: nothing there, or no image that can be read.
    """
    if ":" not in data and Path(data).is_dir():
        return _of_files(find_images([Path(data)]).files, data, preprocess, most, seed)
    first, *others = load_given(DataConfig(data=data, policy="skip")).given.values()
    split = some(first.joined(*others), most, seed)
    if not len(split):
        raise InputError(f"{data}: no image in it")
    return Elsewhere(_plain(split), 0)


def _of_files(files: tuple[Path, ...], data: str, preprocess: Preprocess, most: int, seed: int) -> Elsewhere:
    order = np.random.default_rng(seed).permutation(len(files))[:most]
    names = [str(files[index]) for index in np.sort(order) if _reads(files[index], preprocess)]
    if not names:
        raise InputError(f"{data}: none of {len(order)} images can be read")
    split = Split(tuple(names), np.zeros(len(names), np.int32), paths=tuple(names))
    return Elsewhere(split, len(order) - len(names))


def _reads(file: Path, preprocess: Preprocess) -> bool:
    try:
        preprocess.on_file(file)
    except InputError:
        return False
    return True


def _plain(split: Split) -> Split:
    """The same without its labels, which may be of another kind than the model's."""
    return Split(split.ids, np.zeros(len(split), np.int32), images=split.images, paths=split.paths)
