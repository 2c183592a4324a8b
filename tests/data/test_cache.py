"""Images kept in memory: the same pixels, each file decoded once, and only where they fit."""

import numpy as np
import pytest
from pictures import write_classes
from targets import feed, one_hot

from imgrec.config import AugmentConfig, DataConfig
from imgrec.data import cache as caching
from imgrec.data import loading, preprocess
from imgrec.data.cache import Cache, available_memory, prepared_bytes, whole_bytes
from imgrec.data.pipeline import evaluation_dataset, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError

PREPROCESS = Preprocess((16, 16))
WAYS = {
    "flags": AugmentConfig(crop="pad", mixup=0.2),
    "line": AugmentConfig(augment="crop(pad=2)|flip|rotate(20)"),
    "whole": AugmentConfig(crop="random_resized"),
}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    write_classes(root, {"a": 20, "b": 20, "c": 20}, size=20)
    return load_source(DataConfig(data=str(root)), 0).train


def drawn(split, augment, cache, steps=12):
    dataset = training_dataset(split, feed(PREPROCESS, 3, augment, 8, 0, cache=cache), steps=steps)
    return [part.numpy() for batch in dataset for part in batch]


@pytest.mark.parametrize("way", WAYS)
def test_a_cache_changes_no_pixel_and_every_file_is_read_once(split, way, monkeypatch):
    plain = drawn(split, WAYS[way], Cache("none"))
    read, read_file = [], preprocess.read_file

    def counted(path):
        read.append(str(path))
        return read_file(path)

    monkeypatch.setattr(preprocess, "read_file", counted)
    monkeypatch.setattr(loading, "read_file", counted)
    cache = Cache("memory", available=1 << 30)
    kept = drawn(split, WAYS[way], cache)
    # A second dataset of the same run, as that of another phase, reads nothing.
    again = drawn(split, WAYS[way], cache)
    assert all(map(np.array_equal, plain, kept)) and all(map(np.array_equal, plain, again))
    sampled = len(split) if way == "whole" else 0  # the first look at the sizes of whole images
    assert len(read) == len(split) + sampled and set(read) == set(split.paths)


def test_auto_keeps_what_takes_half_of_the_free_memory(split, capsys):
    needed = prepared_bytes(split, PREPROCESS)
    assert needed == len(split) * 16 * 16 * 3
    augment = WAYS["flags"]
    exact, short = Cache("auto", available=2 * needed), Cache("auto", available=2 * needed - 2)
    drawn(split, augment, exact, 1)
    drawn(split, augment, exact, 1)
    drawn(split, augment, short, 1)
    drawn(split, augment, Cache("none"), 1)
    assert exact.room == 0 and short.room == needed - 1
    size = f"{needed / 1e6:.1f} MB"
    assert capsys.readouterr().out.splitlines() == [
        f"cache: 42 training images are kept in memory, {size} of the {size} that may be filled",
        f"cache: 42 training images would need {size} of the {size} that may be filled: decoded anew "
        "every epoch",
        "cache: 42 training images are decoded anew every epoch, by --cache none",
    ]
    # What is full keeps nothing more, and says nothing of validation.
    assert exact.keep(split, Preprocess((8, 8)), "tensor", lambda: 1, lambda: 7) is None
    assert not capsys.readouterr().out


def test_memory_that_cannot_hold_the_pictures_is_refused(split):
    with pytest.raises(InputError, match=r"--cache memory: 42 training images need 0\.0 MB, and .* use --"):
        drawn(split, WAYS["line"], Cache("memory", available=1000), 1)
    # Validation is not worth stopping for.
    batches = evaluation_dataset(split, PREPROCESS, one_hot(3), 8, Cache("memory", available=1000))
    assert sum(len(images) for images, _ in batches) == len(split)


def test_arrays_that_are_as_wanted_are_never_kept_twice(capsys):
    images = np.arange(6 * 16 * 16 * 3, dtype=np.uint8).reshape(6, 16, 16, 3)
    split = Split(tuple("abcdef"), np.arange(6, dtype=np.int32) % 3, images=images)
    cache = Cache("memory", available=0)
    (pixels, _), *_ = evaluation_dataset(split, PREPROCESS, one_hot(3), 6, cache)
    assert np.array_equal(pixels, images)
    assert [len(part) for part in drawn(split, WAYS["line"], cache, 1)] == [6, 6]
    assert not capsys.readouterr().out


def test_the_size_of_whole_pictures_is_estimated_from_a_sample():
    images = np.zeros((200, 4, 4, 1), np.uint8)
    split = Split(tuple(map(str, range(200))), np.zeros(200, np.int32), images=images)
    # Images of 0, 10, 20 … bytes: the sample is even, so its mean is that of all.
    asked = []
    assert whole_bytes(split, lambda i: asked.append(i) or np.zeros(10 * i, np.uint8)) == 995 * 200
    assert len(asked) == 64 and (asked[0], asked[-1]) == (0, 199)


def test_a_container_s_limit_counts(tmp_path, monkeypatch):
    for name, text in {"max": "1000", "current": "400", "none": "max"}.items():
        (tmp_path / name).write_text(f"{text}\n")
    pairs = [(tmp_path / "max", tmp_path / "current"), (tmp_path / "none", tmp_path / "current")]
    monkeypatch.setattr(caching, "_CONTAINER", pairs)
    assert available_memory() == 600
    monkeypatch.setattr(caching, "_CONTAINER", pairs[1:])
    free = available_memory()
    assert free == caching.UNKNOWN or free > 1 << 20
    monkeypatch.setattr(caching, "_CONTAINER", [(tmp_path / "lacking", tmp_path / "current")])
    monkeypatch.setattr(caching, "_meminfo", lambda: None)
    assert available_memory() == caching.UNKNOWN
