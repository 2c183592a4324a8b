"""--new-classes: classes of a folder behind those of a set."""

from pathlib import Path

import numpy as np
import pytest
from pictures import write_classes

from imgrec.config import DataConfig
from imgrec.data.sources.dataset import Source
from imgrec.data.sources.load import load_source
from imgrec.data.sources.new_classes import of_new_classes
from imgrec.errors import InputError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    write_classes(root, {"cat": 10, "dog": 10}, size=20)
    return root


def loaded(photos: Path, folder: Path | str, **more: str) -> Source:
    return load_source(DataConfig(data=str(photos), new_classes=str(folder), **more), 0)


def test_pictures_are_for_training(photos: Path, tmp_path: Path) -> None:
    write_classes(tmp_path, {"ant": 3, "bee": 1}, size=24)
    plain, source = load_source(DataConfig(data=str(photos)), 0), loaded(photos, tmp_path)
    assert source.classes == ("cat", "dog", "ant", "bee")
    assert source.train.labels.tolist() == [*plain.train.labels.tolist(), 2, 2, 2, 3]
    assert source.train.ids[: len(plain.train)] == plain.train.ids
    assert all(name.startswith("new:ant/") for name in source.train.ids[-4:-1])
    assert (source.val.ids, source.test.ids) == (plain.val.ids, plain.test.ids)
    assert source.fingerprint != plain.fingerprint
    assert "new classes, with pictures to learn from: ant (3), bee (1)" in source.notes
    assert of_new_classes(source.train, 2).labels.tolist() == [2, 2, 2, 3]


def test_splits_of_their_own_are_kept(photos: Path, tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"ant": 3}, size=24)
    write_classes(tmp_path / "test", {"ant": 2}, size=28)
    source = loaded(photos, tmp_path)
    assert of_new_classes(source.train, 2).labels.tolist() == [2, 2, 2]
    assert of_new_classes(source.test, 2).labels.tolist() == [2, 2] and not len(of_new_classes(source.val, 2))


def test_arrays_get_them_decoded(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 12, 12), np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(40) % 2)
    write_classes(tmp_path / "new", {"ant": 3}, size=24)
    source = load_source(DataConfig(data=f"npz:{tmp_path / 'set.npz'}", new_classes=str(tmp_path / "new")), 0)
    assert source.train.images is not None and source.train.images.shape == (28 + 3, 12, 12, 1)


def test_what_does_not_go_together_is_named(photos: Path, tmp_path: Path) -> None:
    write_classes(tmp_path / "again", {"cat": 2}, size=20)
    with pytest.raises(InputError, match="class 'cat' is there already; rename its folder"):
        loaded(photos, tmp_path / "again")
    (tmp_path / "empty" / "ant").mkdir(parents=True)
    with pytest.raises(InputError, match="class 'ant' has no images; add some"):
        loaded(photos, tmp_path / "empty")
    with pytest.raises(InputError, match="--new-classes sample: expected a folder"):
        loaded(photos, "sample")
    (tmp_path / "loose").mkdir()
    with pytest.raises(InputError):
        loaded(photos, tmp_path / "loose")
