"""`csv:FILE`: its three forms, its mistakes, and how images with several labels are divided."""

import numpy as np
import pytest
from pictures import picture
from PIL import Image

from imgrec.config import DataConfig
from imgrec.data.sources.csv_file import list_csv
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.labels import worded
from imgrec.data.sources.load import load_source
from imgrec.data.sources.long_tail import long_tailed
from imgrec.data.sources.matching import matched
from imgrec.data.sources.splits import divide
from imgrec.errors import InputError


@pytest.fixture
def write(tmp_path):
    """Write a table (and a small image for every path in it that ends in .png); return its name."""

    def write(text, name="set.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        for number, line in enumerate(text.splitlines()[1:]):
            path = tmp_path / line.split(",")[0].strip('"')
            if path.suffix == ".png" and "none" not in path.name:
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(12, 10, number * 3.7)).save(path)
        return str(tmp_path / name)

    return write


def load(file, seed=0, **settings):
    return load_source(DataConfig(data=f"csv:{file}", **settings), seed)


def test_one_label_a_row_is_ordinary_classification(write):
    rows = [f"photos/{n}.png,{('dog', 'cat')[n % 2]}" for n in range(30)]
    source = load(write("path,label\n" + "\n".join(rows)))
    assert source.classes == ("cat", "dog") and source.train.kind == "class"
    assert [s.counts(2).tolist() for s in source.splits.values()] == [[10, 10], [3, 3], [2, 2]]
    for split in source.splits.values():
        assert split.labels.dtype == np.int32
        assert all(path.endswith(name) for path, name in zip(split.paths, split.ids, strict=True))
        for name, label in zip(split.ids, split.labels, strict=True):
            assert source.classes[label] == ("dog", "cat")[int(name[7:-4]) % 2]


def test_further_columns_are_attributes_that_follow_their_images(write):
    rows = [f"{n:02d}.png,{'ab'[n % 2]},cam{n % 3},{n}" for n in range(40)]
    source = load(write("path,label,camera,hour\n" + "\n".join(rows)))
    assert source.classes == ("a", "b")
    assert "columns that are not learned from, and told apart in the report: camera, hour" in source.notes
    for split in (
        *source.splits.values(),
        source.test.take(np.array([1, 0])),
        source.val.joined(source.test),
    ):
        numbers = [int(name[:2]) for name in split.ids]
        assert split.attributes == {
            "camera": tuple(f"cam{number % 3}" for number in numbers),
            "hour": tuple(map(str, numbers)),
        }
    plain = load(write("path,label\n" + "\n".join(row.rsplit(",", 2)[0] for row in rows), "plain.csv"))
    assert plain.fingerprint == source.fingerprint, "nobody learns from attributes"
    joined = source.val.joined(plain.test)
    assert joined.attributes["camera"] == source.val.attributes["camera"] + ("",) * len(plain.test)
    assert matched(source.test, ("a", "b"), ("b", "a"), "it").attributes == source.test.attributes


def test_splits_are_taken_from_their_column(write):
    parts = ("Train", "valid", "test")
    rows = [f'"{n}.png",{"ab"[n // 3 % 2]},{parts[n % 3]}' for n in range(18)]
    source = load(write("path , label,split\r\n" + "\r\n".join(rows), encoding="utf-8-sig"))
    assert {p: s.ids for p, s in source.splits.items()} == {
        p: tuple(f"{n}.png" for n in range(start, 18, 3)) for start, p in enumerate(("train", "val", "test"))
    }


def test_several_labels_a_cell_become_multi_hot(write):
    cells = ["b|a", "a", "", "c | b", "c|c"]
    rows = [f"{n:02d}.png,{cells[n % 5]},{('train', 'val', 'test')[n // 5]}" for n in range(15)]
    source = load(write("path,labels,split\n" + "\n".join(rows)))
    assert source.train.kind == "classes" and source.classes == ("a", "b", "c")
    for split in source.splits.values():
        assert split.labels.dtype == np.float32
        assert split.labels.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1]]
        assert split.counts(3).tolist() == [2, 2, 2]
    again = load(write("path,label,split\n" + "\n".join(rows), "other.csv"))
    assert again.fingerprint == source.fingerprint, "a | in a cell says several, whatever the column's name"


def test_a_column_of_0_and_1_a_class(write):
    rows = [f"{n:02d}.png,{n % 2},{int(n % 3 == 0)}" for n in range(24)]
    source = load(write("path,striped,dotted\n" + "\n".join(rows)))
    assert source.classes == ("striped", "dotted") and source.train.kind == "classes"
    for split in source.splits.values():
        numbers = np.array([int(name[:2]) for name in split.ids])
        assert np.array_equal(split.labels, np.stack([numbers % 2, numbers % 3 == 0], axis=1))


def test_a_label_missing_from_a_small_split_is_noted(write):
    rows = [f"{n}.png,a|b,train" for n in range(4)] + ["8.png,a,val", "9.png,b,test"]
    source = load(write("path,labels,split\n" + "\n".join(rows)))
    assert "no image of b in the val split" in source.notes
    assert "no image of a in the test split" in source.notes
    with pytest.raises(InputError, match="expected one class an image"):
        long_tailed(source, 10, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the header has nothing; expected path and label"),
        ("path,label\n", "no rows below the header"),
        ("file,label\na.png,x\n", "the header has file, label; expected path and label"),
        ("path;label\na.png;x\n", "separated by semicolons"),
        ("path,split\na.png,train\n", "the header has path, split; expected"),
        ("path,label,label\na.png,x,y\n", "the column 'label' stands in the header twice"),
        ("path,label,labels\na.png,x,y\n", "'label' and 'labels' both say labels"),
        ("path,label\na.png,x\nb.png\n", "line 3: 1 cells, the header has 2 columns"),
        ("path,label\na.png,x\n,y\n", "line 3: no path"),
        ("path,label\na.png,x\n\nb.png,\n", "line 4: no label"),
        ("path,label\na.txt,x\n", "line 2: a.txt is no image by its name"),
        ("path,label,split\na.png,x,tset\n", "line 2: split 'tset'; expected train, val or test"),
        ("path,label,split\na.png,x,val\n", "no row is of the split train, only of val"),
        ("path,label\na.png,x\nb.png,y\n./a.png,z\n", "line 4: a.png stands in line 2 already"),
        ("path,cat,dog\na.png,1,yes\n", "line 2: 'yes' in the column 'dog'; expected 0 or 1"),
        ('path,label\na.png,"x\n', "unexpected end of data"),
    ],
)
def test_wrong_tables_are_named_with_the_line(write, text, message):
    with pytest.raises(InputError, match="csv:") as raised:
        list_csv(write(text))
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_other_files_and_pictures_that_are_not_there(write, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        list_csv(str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match="not UTF-8"):
        list_csv(write("path,label\nä.png,x\n", encoding="latin-1"))
    rows = "\n".join(f"{n}.png,{'ab'[n % 2]}" for n in range(20))
    file = write(f"path,label\n{rows}\nnone.png,a\n")
    with pytest.raises(InputError, match=r"none\.png: No such file.*\(line 22 of set\.csv\)"):
        load(file)
    source = load(file, policy="skip")
    assert sum(len(split) for split in source.splits.values()) == 20
    with pytest.raises(InputError, match="two classes or more, found only 'a'"):
        load(write("path,label\n" + "\n".join(f"{n}.png,a" for n in range(9)), "one.csv"))
    with pytest.raises(InputError, match="no image of class 'c'"):
        load(write("path,a,b,c\n" + "\n".join(f"{n}.png,1,{n % 2},0" for n in range(9)), "empty.csv"))


def test_paths_with_backslashes_are_understood_and_said(write, tmp_path):
    rows = [f"photos/{n}.png,{'ab'[n % 2]}" for n in range(20)]
    plain = load(write("path,label\n" + "\n".join(rows)))
    (tmp_path / "odd\\name.png").write_bytes((tmp_path / "photos" / "0.png").read_bytes())
    turned = "\n".join(row.replace("/", "\\") for row in rows)
    (tmp_path / "set.csv").write_text(f"path,label\n{turned}\nodd\\name.png,a\n")
    listing = list_csv(str(tmp_path / "set.csv"))
    assert listing.notes == ("20 paths with backslashes were read with / in their place",)
    assert {entry.id for entry in listing.entries} == {
        *(row.split(",")[0] for row in rows), "odd\\name.png"
    }  # fmt: skip
    assert plain.classes == ("a", "b")
    (tmp_path / "set.csv").write_text("path,label\nC:\\photos\\1.png,a\n")
    with pytest.raises(InputError, match=r"line 2: C:.*of a Windows machine.*such as photos/1\.png"):
        list_csv(str(tmp_path / "set.csv"))
    (tmp_path / "set.csv").write_text("path,label\nphotos\\0.png,a\nphotos/0.png,b\n")
    with pytest.raises(InputError, match=r"line 3: photos/0\.png stands in line 2 already"):
        list_csv(str(tmp_path / "set.csv"))


def test_splits_in_a_table_may_be_spelled_as_folders_are(write):
    parts = ("Training", "dev", "test_set")
    listing = list_csv(write("path,label,split\n" + "\n".join(f"{n}.png,a,{parts[n % 3]}" for n in range(6))))
    assert [entry.part for entry in listing.entries] == ["test"] * 2 + ["train"] * 2 + ["val"] * 2


def random_labels(count, seed=0):
    """Six labels, from on half of the images to on five of them, and one on two; some images without."""
    draw = np.random.default_rng(seed)
    shares = np.array([0.5, 0.3, 0.2, 0.1, 0.05, 5 / count])
    labels = (draw.random((count, 6)) < shares).astype(np.float32)
    labels[:, 5] = 0
    labels[draw.permutation(count)[:5], 5] = 1
    rare = np.zeros((count, 1), np.float32)
    rare[draw.permutation(count)[:2]] = 1
    return np.concatenate([labels, rare], axis=1)


def whole(labels):
    ids = tuple(f"{n:04d}" for n in range(len(labels)))
    return Split(ids, labels, np.zeros((len(labels), 2, 2, 1), np.uint8))


def test_several_labels_are_stratified():
    labels = random_labels(600)
    names = tuple("abcdefg")
    parts = divide(whole(labels), names, (0.2, 0.1), seed=3)
    assert sorted(name for part in parts for name in part.ids) == [f"{n:04d}" for n in range(600)]
    assert [len(part) for part in parts] == pytest.approx([420, 120, 60], abs=3)
    counts = np.stack([part.counts(7) for part in parts])
    for label in range(5):
        wanted = labels[:, label].sum() * np.array([0.7, 0.2, 0.1])
        assert np.abs(counts[:, label] - wanted).max() <= 1.5, (label, counts[:, label])
    # Five images: at least one for each part. Two: training first, then validation.
    assert counts[:, 5].tolist() == [3, 1, 1] and counts[:, 6].tolist() == [1, 1, 0]
    again, other = (divide(whole(labels), names, (0.2, 0.1), seed=s) for s in (3, 4))
    assert [p.ids for p in again] == [p.ids for p in parts] != [p.ids for p in other]


def test_copies_with_several_labels_stay_together():
    labels = random_labels(200)
    split = whole(labels)
    contents = {name: f"{n // 2}" for n, name in enumerate(split.ids)}
    parts = divide(split, tuple("abcdefg"), (0.2, 0.1), 0, contents)
    for part in parts:
        assert all(f"{int(name) ^ 1:04d}" in part.ids for name in part.ids)
    with pytest.raises(InputError, match="2 images, too few to divide into 3"):
        divide(split.take(np.arange(2)), tuple("abcdefg"), (0.2, 0.1), 0)


def test_labels_in_words():
    one, marks = np.array([2, 0], np.int32), np.array([[0, 1, 1], [0, 0, 0]], np.float32)
    assert worded(one, "abc") == ("c", "a") and worded(marks, "abc") == ("b|c", "")
    assert worded(np.array([1.5, -2], np.float32), ("angle",)) == ("1.5", "-2")
