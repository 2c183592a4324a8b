"""Which folders are splits, which are classes, what is stepped into, left out and refused."""

import pytest
from pictures import write_classes

from imgrec.config import DataConfig
from imgrec.data.sources.folder import list_folder
from imgrec.data.sources.layout import split_of
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError


def loaded(tmp_path):
    return load_source(DataConfig(data=str(tmp_path)), 0)


def sizes(source):
    return [len(split) for split in source.splits.values()]


SPELLED = {
    "train": "train Train TRAIN training Training train_set training_set trainset train-data seg_train "
    "train2017 images_train training_images",
    "val": "val Valid validation VALIDATION val_set dev devset dev_set seg_val val2017",
    "test": "test Testing test_set testset TEST seg_test test1 test-images",
    None: "cat trainer trains bullet_train validity devil tests contest latest testimony set images data",
}


@pytest.mark.parametrize("part", SPELLED, ids=str)
def test_usual_spellings_of_splits(part):
    assert {name: split_of(name) for name in SPELLED[part].split()} == dict.fromkeys(
        SPELLED[part].split(), part
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("TRAIN", "TEST"),
        ("train_set", "test_set"),
        ("training_set", "testset"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("archive/photos/train", "archive/photos/test"),
        ("archive/seg_train/seg_train", "archive/seg_test/seg_test"),
    ],
)
def test_splits_are_recognised(tmp_path, train, test):
    write_classes(tmp_path / train, {"cat": 20, "dog": 20})
    write_classes(tmp_path / test, {"cat": 4, "dog": 3}, ".bmp")
    source = loaded(tmp_path)
    assert source.classes == ("cat", "dog") and sizes(source) == [36, 4, 7]
    assert all("test" in name.lower() for name in source.test.ids)
    said = " ".join(source.notes)
    assert ("holds one folder only" in said) == train.startswith("archive")
    # The plain names need no word.
    assert ("splits by their names" in said) == ("train" not in train.lower().split("/"))


@pytest.mark.parametrize("name", ["valid", "validation", "dev", "val_set", "Validation"])
def test_validation_has_many_names(tmp_path, name):
    for folder, count in (("train", 6), (name, 3), ("test", 2)):
        write_classes(tmp_path / folder, {"a": count, "b": count})
    assert sizes(loaded(tmp_path)) == [12, 6, 4]


def test_wrapped_classes_are_those_inside(tmp_path):
    write_classes(tmp_path / "archive" / "photos", {"cat": 10, "dog": 10})
    wrapped, plain = loaded(tmp_path), loaded(tmp_path / "archive" / "photos")
    assert wrapped.fingerprint == plain.fingerprint and wrapped.train.ids == plain.train.ids
    assert f"{tmp_path} holds one folder only: those in archive/photos are the classes" in wrapped.notes


def test_classes_may_bear_the_names_of_splits(tmp_path):
    write_classes(tmp_path, {"train": 10, "car": 10, "bus": 10})
    assert loaded(tmp_path).classes == ("bus", "car", "train")
    write_classes(tmp_path / "more" / "train", {"train": 10, "test": 10})
    write_classes(tmp_path / "more" / "test", {"train": 3, "test": 3}, ".bmp")
    source = loaded(tmp_path / "more")
    assert source.classes == ("test", "train") and sizes(source) == [18, 2, 6]


def test_folders_inside_a_class_belong_to_it(tmp_path):
    write_classes(tmp_path / "tiny", {"n01/images": 10, "n02/images": 10})
    assert loaded(tmp_path / "tiny").classes == ("n01", "n02")
    write_classes(tmp_path / "mixed", {"cat/indoors": 5, "cat/outdoors": 5, "dog": 10})
    assert loaded(tmp_path / "mixed").classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            "2023/cat 2023/dog 2024/cat 2024/dog",
            r"'2023' holds no images but folders that do \('cat', 'dog'\)",
        ),
        (
            "2023/cat 2023/dog 2024/cat 2024/dog",
            r"name the folder whose folders are the classes, such as .*2023, or a csv:",
        ),
        ("cat/train cat/test dog/train dog/test", "put the splits outside, as train/cat"),
        ("train/x/cat train/x/dog train/y/cat train/y/dog", r"train: 'x' holds no images but folders"),
        ("test/cat test/dog val/cat val/dog", "has 'test' and 'val' and no train"),
        ("train/a train/b test/a test/b extra/a", "'extra' stands beside 'train'"),
        ("train test", "train: images but no class folders"),
        ("train test other", "'other' stands beside 'train'"),
        ("Training/a Training/b train/a train/b", "Training and train both mean train"),
    ],
)
def test_other_wrappings_are_refused_with_what_was_seen(tmp_path, tree, message):
    write_classes(tmp_path, dict.fromkeys(tree.split(), 3))
    with pytest.raises(InputError, match=message) as raised:
        loaded(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("place", ["test", "test1", "test/test", "test/images", "seg_pred/seg_pred", "pred"])
def test_a_test_split_without_labels_is_left_out_and_said(tmp_path, place):
    write_classes(tmp_path / "train", {"cat": 20, "dog": 20})
    write_classes(tmp_path, {place: 7})
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "boxes.txt").write_text("0 0 1 1")
    source = loaded(tmp_path)
    assert source.classes == ("cat", "dog") and sizes(source) == [28, 8, 4]
    folder = place.partition("/")[0]
    assert any(f"{folder} was left out: 7 images without class folders" in note for note in source.notes)
    assert "annotations was left out: it has no images" in source.notes


def test_what_is_left_out_is_counted(tmp_path):
    write_classes(tmp_path, {"a": 10, "b": 10, "__background__": 3, ".ipynb_checkpoints": 2})
    write_classes(tmp_path, {"a/.ipynb_checkpoints": 1, "": 4, ".git": 0})
    (tmp_path / "c").symlink_to(tmp_path / "nowhere")
    source = loaded(tmp_path)
    assert sizes(source) == [14, 4, 2]
    assert (
        "passed over folders, for their names begin with . or __: "
        ".ipynb_checkpoints (3 images), __background__ (3 images)"
    ) in source.notes
    assert f"left out 4 images in {tmp_path} that lie in no class folder" in source.notes
    assert f"left out c in {tmp_path}: links that lead nowhere" in source.notes


def test_linked_class_folders_are_followed_once(tmp_path):
    write_classes(tmp_path / "store", {"x": 10, "y": 10})
    (tmp_path / "set").mkdir()
    for name, target in (("cat", "x"), ("dog", "y")):
        (tmp_path / "set" / name).symlink_to(tmp_path / "store" / target)
    source = loaded(tmp_path / "set")
    assert source.classes == ("cat", "dog") and sizes(source) == [14, 4, 2]
    assert source.train.ids[0].startswith("cat/")
    (tmp_path / "set" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "store" / "x" / "again").symlink_to(tmp_path / "store" / "x")
    listing = list_folder(str(tmp_path / "set"))
    assert len(listing.entries) == 20 and set(listing.loops) == {"cat/again", "up"}
    (tmp_path / "alone" / "in").mkdir(parents=True)
    (tmp_path / "alone" / "in" / "out").symlink_to(tmp_path / "alone")
    with pytest.raises(InputError, match="alone"):
        loaded(tmp_path / "alone")
