"""One rule for names of classes, in folders, tables and arrays."""

import numpy as np
import pytest
from pictures import write_classes

from imgrec.config import DataConfig
from imgrec.data.sources.load import load_source
from imgrec.data.sources.names import unified
from imgrec.errors import InputError

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def load(spec):
    return load_source(DataConfig(data=str(spec)), 0)


def test_names_are_composed_and_lose_the_blanks_around_them():
    names = (DECOMPOSED, " two words ", "猫", "T-shirt/top", "\u00a0x")
    assert list(unified(names, "set").values()) == [COMPOSED, "two words", "猫", "T-shirt/top", "x"]
    assert list(unified(names, "set")) == list(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((COMPOSED, DECOMPOSED), r"set: the class names 'caf\\xe9' and 'cafe\\u0301' are one name"),
        (("cat", " cat"), "'cat' and ' cat' are one name"),
        (("cat", "cat"), "'cat' stands there twice"),
        (("cat\r",), r"'cat\\r' holds control characters"),
        (("a\nb",), r"'a\\nb' holds control characters"),
        (("a\u2028b",), r"'a\\u2028b' holds"),
        (("a\udcff",), r"'a\\udcff' holds control characters or broken text"),
        (("",), "'' is empty"),
        (("  ",), "'  ' is blank"),
    ],
)
def test_names_that_cannot_stay_are_refused(names, message):
    with pytest.raises(InputError, match=message) as raised:
        unified(names, "set")
    assert str(raised.value).isprintable()


def test_folders_obey(tmp_path):
    write_classes(tmp_path / "train", {DECOMPOSED: 5, "tea ": 5})
    write_classes(tmp_path / "test", {COMPOSED: 2, "tea": 2}, ".bmp")
    source = load(tmp_path)
    assert source.classes == (COMPOSED, "tea")
    assert source.test.counts(2).tolist() == [2, 2], "one class, though stored otherwise in train"
    assert source.test.ids[0] == f"test/{COMPOSED}/000.bmp" and source.train.ids[0].startswith("train/")
    assert "class names are used without the blanks around them: 'tea '" in source.notes
    write_classes(tmp_path / "train", {COMPOSED: 3})
    with pytest.raises(InputError, match="are one name"):
        load(tmp_path)
    write_classes(tmp_path / "other", {"cat\r": 5, "dog": 5})
    with pytest.raises(InputError, match=r"'cat\\r' holds control characters"):
        load(tmp_path / "other")


def test_tables_obey(tmp_path):
    write_classes(tmp_path, {"a": 10, "b": 10})
    rows = [f"{name}/{n:03d}.png" for name in "ab" for n in range(10)]

    def table(*labels):
        text = "".join(f"{path},{labels[n % len(labels)]}\n" for n, path in enumerate(rows))
        (tmp_path / "set.csv").write_text(f"path,label\n{text}", encoding="utf-8")
        return f"csv:{tmp_path}/set.csv"

    assert load(table(DECOMPOSED, "tea")).classes == (COMPOSED, "tea")
    with pytest.raises(InputError, match="are one name"):
        load(table(DECOMPOSED, COMPOSED))
    with pytest.raises(InputError, match="holds control characters"):
        load(table("te\x85a", "tea"))


def test_arrays_obey(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    y = np.array([DECOMPOSED, "tea"])[np.arange(40) % 2]
    np.savez(tmp_path / "set.npz", x=x, y=y, classes=np.array(["tea ", COMPOSED]))
    source = load(f"npz:{tmp_path}/set.npz")
    assert source.classes == ("tea", COMPOSED) and source.train.counts(2).tolist() == [14, 14]
    index = [int(name.split("-")[1]) for name in source.train.ids]
    assert np.array_equal(source.train.labels, 1 - np.array(index) % 2)
