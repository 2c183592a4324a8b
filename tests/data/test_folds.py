"""Folds: disjoint, stratified as scikit-learn's, copies together, a function of the seed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from imgrec.config import DataConfig
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.folds import fold_numbers, parse_fold
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError

CLASSES = ("a", "b", "c")


def split(labels: np.ndarray) -> Split:
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return Split(tuple(f"image {n}" for n in range(len(labels))), labels.astype(np.int32), images)


def test_folds_are_as_even_as_scikit_learn_s() -> None:
    labels = np.repeat([0, 1, 2], [41, 13, 7])
    numbers = fold_numbers(split(labels), CLASSES, 5, 0, {})
    counts = np.array([np.bincount(labels[numbers == fold], minlength=3) for fold in range(5)])
    shuffled = StratifiedKFold(5, shuffle=True, random_state=1).split(labels, labels)
    expected = np.array([np.bincount(labels[held], minlength=3) for _, held in shuffled])
    assert np.array_equal(np.sort(counts, axis=0), np.sort(expected, axis=0))
    assert np.ptp(counts, axis=0).max() <= 1 and np.ptp(counts.sum(axis=1)) <= 1


def test_folds_follow_the_seed_and_the_names_only() -> None:
    labels = np.arange(60) % 3
    whole = split(labels)
    numbers = fold_numbers(whole, CLASSES, 4, 7, {})
    assert np.array_equal(numbers, fold_numbers(whole, CLASSES, 4, 7, {}))
    assert not np.array_equal(numbers, fold_numbers(whole, CLASSES, 4, 8, {}))
    other = np.random.default_rng(0).permutation(60)
    moved = fold_numbers(whole.take(other), CLASSES, 4, 7, {})
    assert np.array_equal(moved, numbers[other])


def test_copies_stay_in_one_fold() -> None:
    labels = np.arange(60) % 3
    whole = split(labels)
    contents = {name: str(number % 3 + 3 * (number // 12)) for number, name in enumerate(whole.ids)}
    numbers = fold_numbers(whole, CLASSES, 5, 0, contents)
    for content in set(contents.values()):
        held = {fold for fold, name in zip(numbers, whole.ids, strict=True) if contents[name] == content}
        assert len(held) == 1
    with pytest.raises(InputError, match="'a' has 5 different images to hold out in turn, too few for 6"):
        fold_numbers(whole, CLASSES, 6, 0, contents)


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "1", "a/b", "1/5/2", "-1/5", "1/1e3"])
def test_a_wrong_fold_is_named(text: str) -> None:
    with pytest.raises(InputError, match=f"--fold {text}: expected I/K"):
        parse_fold(text)


@pytest.mark.parametrize("over", ["train", "all"])
def test_every_image_is_held_out_once(tmp_path: Path, over: str) -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (103, 8, 8), dtype=np.uint8)
    path = tmp_path / "set.npz"
    labels = draw.integers(0, 3, 103)
    np.savez(path, images=images, labels=labels)
    config = DataConfig(data=f"npz:{path}", fold_over=over, audit=False)
    plain = load_source(config, 3)
    seen: list[str] = []
    for fold in ("1/4", "2/4", "3/4", "4/4"):
        source = load_source(dataclasses.replace(config, fold=fold), 3)
        parts = [set(part.ids) for part in (source.train, source.val, source.held_out)]
        assert (
            sum(map(len, parts))
            == len(set.union(*parts))
            == (103 if over == "all" else 103 - len(plain.test))
        )
        if over == "all":
            assert source.test is source.held_out
        else:
            assert source.test.ids == plain.test.ids and not set(plain.test.ids) & set.union(*parts)
        assert source.fingerprint != plain.fingerprint
        # Every image still stands beside its own label.
        places = [int(name[-5:]) for name in source.held_out.ids]
        assert np.array_equal(source.held_out.images[..., 0], images[places])
        assert np.array_equal(source.held_out.labels, labels[places])
        seen += source.held_out.ids
    assert len(seen) == len(set(seen)) == (103 if over == "all" else 103 - len(plain.test))
