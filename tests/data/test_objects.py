"""Pictures of one object, told by a column of a table, are never parted by a split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgrec.config import DataConfig
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.load import load_source
from imgrec.data.sources.objects import numbered, objects_of, together
from imgrec.errors import InputError


def table(folder: Path, rows: list[str], header: str = "path,label,object", copies: str = "") -> str:
    """Write a table and its pictures, all different but for those named in `copies`."""
    draw = np.random.default_rng(0)
    same = draw.integers(0, 256, (12, 12), np.uint8)
    for row in rows:
        name = row.split(",")[0]
        pixels = same if name in copies.split() else draw.integers(0, 256, (12, 12), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "set.csv").write_text("\n".join([header, *rows]) + "\n")
    return f"csv:{folder / 'set.csv'}"


def things(count: int, views: int) -> list[str]:
    return [f"{n}-{v}.png,{'ab'[n % 2]},thing {n}" for n in range(count) for v in range(views)]


@pytest.mark.parametrize("seed", range(3))
def test_a_split_never_parts_an_object(tmp_path: Path, seed: int) -> None:
    source = load_source(DataConfig(data=table(tmp_path, things(20, 3))), seed)
    homes = [set(objects_of(split) or ()) for split in source.splits.values()]
    assert [len(home) for home in homes] == [14, 4, 2] and len(set.union(*homes)) == 20
    assert all(len(split) == 3 * len(home) for split, home in zip(source.splits.values(), homes, strict=True))


def test_a_fold_never_parts_an_object(tmp_path: Path) -> None:
    data = table(tmp_path, things(20, 3))
    held = []
    for number in (1, 2, 3):
        source = load_source(DataConfig(data=data, fold=f"{number}/3"), 0)
        assert source.held_out is not None
        own = set(objects_of(source.held_out) or ())
        assert not own & set(objects_of(source.train) or ()) and not own & set(objects_of(source.val) or ())
        held += list(own)
    assert len(held) == len(set(held)) == 18  # two objects are tested


def test_objects_of_which_one_picture_is_a_copy_stay_together(tmp_path: Path) -> None:
    data = table(tmp_path, things(12, 2), copies="0-1.png 2-0.png")
    for seed in range(8):
        for split in load_source(DataConfig(data=data), seed).splits.values():
            held = set(objects_of(split) or ())
            assert ("thing 0" in held) == ("thing 2" in held)


def test_a_picture_without_an_object_is_one_of_its_own() -> None:
    split = Split(
        ("x", "y", "z"), np.zeros(3, np.int32), paths=("x", "y", "z"), attributes={"group": ("", "g", "")}
    )
    assert objects_of(split) == (" x", "g", " z")
    assert len(set(together({"train": split}, {}).values())) == 3
    names, numbers = numbered(["b", "a", "b"])
    assert names == ["b", "a"] and numbers.tolist() == [0, 1, 0]


def test_a_table_without_the_column_has_none(tmp_path: Path) -> None:
    rows = [row.rsplit(",", 1)[0] for row in things(10, 2)]
    assert objects_of(load_source(DataConfig(data=table(tmp_path, rows, "path,label")), 0).train) is None


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (
            [f"{row},{'test' if row.startswith(('0-1', '1-1')) else 'train'}" for row in things(8, 2)],
            "path,label,object,split",
            "object 'thing 0' has pictures in (test and train|train and test)",
        ),
        (
            [row.replace(",b,", ",a,") if row.startswith("1-1") else row for row in things(8, 2)],
            "path,label,object",
            "object 'thing 1' has pictures of two classes, 1-1.png among them",
        ),
    ],
)
def test_an_object_in_two_places_is_refused(
    tmp_path: Path, rows: list[str], header: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_source(DataConfig(data=table(tmp_path, rows, header)), 0)
