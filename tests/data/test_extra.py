"""--extra-data: more images for the training split, marked, and only there."""

import json
import shutil

import cv2
import numpy as np
import pytest
from pictures import picture, write_classes

from imgrec.config import DataConfig
from imgrec.data.sources.dataset import Source, Split
from imgrec.data.sources.extra import RECORD, folder_name, with_extra
from imgrec.data.sources.load import load_source, open_data
from imgrec.data.sources.long_tail import long_tailed
from imgrec.errors import InputError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    write_classes(root, {"cat": 20, "dog": 20}, size=20)
    return root


@pytest.fixture
def more(tmp_path):
    root = tmp_path / "more"
    (root / "cat").mkdir(parents=True)
    for number in range(5):
        cv2.imwrite(str(root / "cat" / f"{number}.png"), picture(20, 24, phase=900.0 + 7 * number))
    return root


def test_files_are_added_to_the_training_split_alone(photos, more):
    data = DataConfig(data=str(photos), extra_data=str(more))
    plain, source = load_source(DataConfig(data=str(photos)), 0), load_source(data, 0)
    assert source.train.ids == plain.train.ids + tuple(f"extra:cat/{n}.png" for n in range(5))
    assert source.train.paths[:28] == plain.train.paths
    assert source.train.paths[28:] == tuple(str(more / "cat" / f"{n}.png") for n in range(5))
    assert source.train.labels.tolist() == plain.train.labels.tolist() + [0] * 5
    assert source.val.ids == plain.val.ids and source.test.ids == plain.test.ids
    assert source.fingerprint != plain.fingerprint
    assert "--extra-data: 5 images of 1 class added to the training split" in source.notes
    cv2.imwrite(str(more / "cat" / "4.png"), picture(20, 24, phase=5000.0))
    assert load_source(data, 0).fingerprint != source.fingerprint


def test_arrays_get_them_decoded_and_fitted(more, tmp_path):
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 255, (40, 12, 12), np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    (more / "cat").rename(more / "1")
    source = load_source(DataConfig(data=f"npz:{tmp_path / 'set.npz'}", extra_data=str(more)), 0)
    assert source.train.images.shape == (28 + 5, 12, 12, 1) and source.train.images.dtype == np.uint8
    assert source.train.labels[28:].tolist() == [1] * 5
    assert all(image.std() > 20 for image in source.train.images[28:])


def test_a_copy_of_a_test_image_is_reported(photos, more):
    plain = load_source(DataConfig(data=str(photos)), 0)
    shutil.copy(plain.test.paths[0], more / "cat" / "leak.png")
    source = load_source(DataConfig(data=str(photos), extra_data=str(more)), 0)
    found = {(f.id, f.code) for f in source.findings}
    assert ("extra:cat/leak.png", "duplicate_across_splits") in found
    assert any("are in two splits, byte for byte" in note for note in source.notes)


def test_what_cannot_be_added_is_named(photos, more, tmp_path):
    def load(folder, **settings):
        return load_source(DataConfig(data=str(photos), extra_data=str(folder), **settings), 0)

    with pytest.raises(InputError, match="nowhere: no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="--extra-data sample: expected a folder"):
        load("sample")
    (more / "dgo").mkdir()
    cv2.imwrite(str(more / "dgo" / "0.png"), picture(20, 24))
    with pytest.raises(InputError, match=r"unknown class in --extra-data .*'dgo': did you mean dog"):
        load(more)
    (more / "dgo" / "0.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"dgo/0\.png"):
        load(more)
    (more / "dgo").rename(more / "dog")
    cv2.imwrite(str(more / "dog" / "1.png"), picture(20, 24, phase=31.0))
    source = load(more, policy="skip")
    assert source.train.ids[-1] == "extra:dog/1.png" and len(source.train) == 28 + 6
    assert any(finding.id == "extra:dog/0.png" for finding in source.findings)
    split = tmp_path / "split"
    (split / "train").mkdir(parents=True)
    (more / "cat").rename(split / "train" / "cat")
    with pytest.raises(InputError, match="has splits of its own"):
        load(split)


def test_a_long_tail_is_cut_from_the_data_and_not_from_them(photos, more):
    plain = load_source(DataConfig(data=str(photos)), 0)
    source = load_source(DataConfig(data=str(photos), extra_data=str(more)), 0)
    cut, expected = long_tailed(source, 2, seed=0), long_tailed(plain, 2, seed=0)
    assert cut.train.ids == expected.train.ids + source.train.ids[28:]
    assert cut.train.counts(2).tolist() == [14 + 5, 7]
    assert expected.notes[-1] == cut.notes[-1] == "--long-tail 2: 21 of 28 training images left"


FOLDERS = {
    "T-shirt/top": "T-shirt%2Ftop",
    "100%": "100%25",
    "%2F": "%252F",
    ".hidden": "%2Ehidden",
    "__pycache__": "%5F_pycache__",
    "a\\b:c?": "a%5Cb%3Ac%3F",
    "end.": "end%2E",
    "Größe 鹿": "Größe 鹿",
}


def test_every_class_has_a_folder_and_is_found_by_it(tmp_path):
    assert {label: folder_name(label) for label in FOLDERS} == FOLDERS
    for number, folder in enumerate(FOLDERS.values()):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / f"{number}.png"), picture(20, 24, phase=9.0 * number))
    split = Split(("0",), np.zeros(1, np.int32), images=np.zeros((1, 20, 24, 3), np.uint8))
    source = Source(tuple(FOLDERS), "rgb", split, split, split, "", "made", 20)
    data = DataConfig(data=str(tmp_path), extra_data=str(tmp_path))
    added = with_extra(source, open_data(data), data).train
    found = {name.rpartition("/")[2]: label for name, label in zip(added.ids, added.labels, strict=True)}
    assert found == {"0": 0} | {f"{number}.png": number for number in range(8)}


def test_pictures_learned_from_other_splits_are_not_trusted(photos, more):
    data = DataConfig(data=str(photos), extra_data=str(more))
    plain = load_source(DataConfig(data=str(photos)), 0)

    def warnings(fingerprint):
        record = {"source": {"fingerprint": fingerprint}, "settings": {"data": "photos", "seed": 3}}
        (more / RECORD).write_text(json.dumps(record))
        return [note for note in load_source(data, 0).notes if "learned from" in note]

    assert warnings(plain.fingerprint) == []
    (note,) = warnings("another")
    assert "--data photos --seed 3, divided otherwise" in note and "do not trust" in note
    (more / RECORD).write_text("{")
    assert any("cannot be read" in note for note in load_source(data, 0).notes)
