import os

import numpy as np
import pytest
from pictures import encode, picture, write_classes
from PIL import Image

from imgrec.config import DataConfig
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError


def load(path, seed=0, **settings):
    return load_source(DataConfig(data=str(path), **settings), seed)


def test_class_folders_are_split_by_seed_with_paths_as_ids(tmp_path):
    write_classes(tmp_path, {"dog": 10, "cat": 20}, ".jpg")
    source = load(tmp_path)
    assert source.classes == ("cat", "dog")
    assert [s.counts(2).tolist() for s in source.splits.values()] == [[14, 7], [4, 2], [2, 1]]
    assert source.train.ids == tuple(sorted(source.train.ids)) and source.train.ids[0].startswith("cat/0")
    assert load(tmp_path).test.ids == source.test.ids != load(tmp_path, seed=1).test.ids
    assert source.colour == "rgb" and source.side == 12


def test_given_splits_are_kept(tmp_path):
    for part, count in {"train": 6, "validation": 3, "test": 2}.items():
        write_classes(tmp_path / part, {"a": count, "b": count})
    source = load(tmp_path)
    assert [len(s) for s in source.splits.values()] == [12, 6, 4]
    assert source.val.ids[0] == "validation/a/000.png"
    # The images of the three folders are drawn alike.
    assert source.notes == ("audit: 16 images are in two splits, byte for byte",)


def test_nested_files_upper_case_and_other_files(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 4})
    write_classes(tmp_path / "a", {"deeper/still": 2}, ".PNG")
    write_classes(tmp_path, {".hidden": 1, "__MACOSX": 1})
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "b" / ".DS_Store").write_text("x")
    source = load(tmp_path)
    assert sum(len(s) for s in source.splits.values()) == 10
    assert source.notes[0] == "passed over 2 files that are no images: .txt (1), hidden (1)"


def test_every_format_under_names_of_every_script(tmp_path):
    names = ("猫/ä ö.webp", "猫/🐈.gif", "猫/é (1).tif", "собака/щ.tiff", "собака/ñ.bmp", "собака/ﷺ.jpeg")
    for n, name in enumerate(names * 3):
        path = tmp_path / name.replace("/", f"/{n}")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(12, 16, n)).save(path)
    source = load(tmp_path)
    assert source.classes == ("собака", "猫") and sum(len(s) for s in source.splits.values()) == 18
    suffixes = {os.path.splitext(name)[1] for s in source.splits.values() for name in s.ids}
    assert suffixes == {".webp", ".gif", ".tif", ".tiff", ".bmp", ".jpeg"}
    assert not any(finding.broken for finding in source.findings)


def test_grey_only_when_every_training_image_is(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for n in range(5):
            Image.fromarray(picture(9, 9, n)[..., 0]).save(tmp_path / name / f"{n}.png")
    assert load(tmp_path).colour == "grey"
    for n in range(5):
        Image.fromarray(picture(9, 9, n)).save(tmp_path / "b" / f"{n}.png")
    assert load(tmp_path).colour == "rgb"


def test_the_fingerprint_is_of_contents_not_of_times(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 4})
    first = load(tmp_path).fingerprint
    os.utime(tmp_path / "a" / "000.png", (1, 1))
    assert load(tmp_path).fingerprint == first
    Image.fromarray(picture(12, 16, 7.5)).save(tmp_path / "a" / "000.png")
    assert load(tmp_path).fingerprint != first


def test_link_loops_end(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 4})
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(set(load(tmp_path).train.ids)) >= 4


def spoil(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("b/x.jpg", b"", r"b/x\.jpg: empty file"),
        ("b/x.jpg", b"hello", r"b/x\.jpg: not an image file; expected a JPEG, PNG, BMP, GIF, WebP or TIFF"),
        ("b/x.jpg", encode(picture(), "JPEG")[:-300], r"b/x\.jpg: truncated JPEG"),
        ("b/x.png", encode(picture(), "PNG")[:-300], r"b/x\.png: the file breaks off|b/x\.png: .*PNG"),
        ("b/x.jpg", encode(picture(), "PPM"), r"b/x\.jpg: a PNM file; expected a JPEG, PNG, BMP, GIF, WebP"),
        ("b/x.webp", b"RIFF", r"b/x\.webp: not an image file"),
        ("b/x.tif", b"II*\0", r"b/x\.tif: the file breaks off"),
        ("b/x.heic", b"RIFF", r"b/x\.heic: \.heic images are not read"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, name, data, message):
    write_classes(tmp_path, {"a": 4, "b": 4})
    with pytest.raises(InputError, match=message) as raised:
        load(spoil(tmp_path, name, data))
    assert "\n" not in str(raised.value)


def test_further_broken_files_are_counted(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 4})
    for n in range(3):
        spoil(tmp_path, f"a/broken{n}.png", b"?")
    with pytest.raises(InputError, match=r"broken0\.png.*and 2 more such files"):
        load(tmp_path)


def test_an_image_bomb_is_refused_by_its_header(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 4})
    header = bytearray(encode(picture(), "PNG"))
    bomb = bytes(header[:16]) + (60_000).to_bytes(4, "big") * 2 + bytes(header[24:29])
    import zlib

    bomb += zlib.crc32(bomb[12:29]).to_bytes(4, "big") + bytes(header[33:])
    with pytest.raises(InputError, match=r"a/bomb\.png: 60000 × 60000 pixels, more than the 50,000,000"):
        load(spoil(tmp_path, "a/bomb.png", bomb))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "an empty folder"),
        ({"only": 5}, "two classes or more, found only 'only'"),
        ({"a": 5, "b": 0}, "class 'b' has no images"),
        ({"a": 5, "b": 2}, "class 'b' has 2 images, too few to divide into 3 splits"),
        ({"train/a": 5, "train/b": 5, "val/a": 5}, "val split has no image of class 'b'"),
        (
            {"train/a": 5, "train/b": 5, "test/a": 5, "test/b": 5, "test/c": 1},
            "test has a class 'c' that train",
        ),
        ({"train/a": 5, "train/b": 5, "other/a": 5}, "'other' stands beside 'train'"),
        ({"train/a": 5, "train/b": 5, "val/a": 1, "valid/a": 1}, "val and valid both mean val"),
        ({"train/a": 1, "train/b": 5, "test/a": 1, "test/b": 1}, "class 'a' has 1 image, too few"),
    ],
)
def test_trees_that_cannot_be_used(tmp_path, tree, message):
    write_classes(tmp_path, tree)
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_missing_folder_file_and_loose_images(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "none")
    spoil(tmp_path, "x.png", encode(picture(), "PNG"))
    with pytest.raises(InputError, match="a file; expected a folder"):
        load(tmp_path / "x.png")
    with pytest.raises(InputError, match="images but no class folders"):
        load(tmp_path)


def test_labels_and_files_agree(tmp_path):
    write_classes(tmp_path, {"a": 10, "b": 10})
    split = load(tmp_path).train
    assert np.array_equal(split.labels, [int(name.startswith("b/")) for name in split.ids])
    assert all(path.endswith(name) for path, name in zip(split.paths, split.ids, strict=True))
