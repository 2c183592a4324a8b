"""What training does about broken files: exact counts, and nothing deleted."""

import os

import numpy as np
import pytest
from pictures import encode, picture, write_classes

from imgrec.config import DataConfig
from imgrec.data.audit import cache, pool
from imgrec.data.audit.examine import Limits
from imgrec.data.audit.scan import scan
from imgrec.data.sources.folder import list_folder
from imgrec.data.sources.load import load_source
from imgrec.errors import InputError

LIMITS = Limits(DataConfig.max_pixels, DataConfig.max_bytes)
BROKEN = {
    "a/05.png": b"",
    "a/17.png": b"text",
    "b/03.png": encode(picture(), "PNG")[:400],
    "b/39.png": b"\x89PNG",
}


@pytest.fixture
def folder(tmp_path):
    """80 files, 5 % of them broken."""
    for n, name in enumerate(("a", "b")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(40):
            (tmp_path / "data" / name / f"{i:02d}.png").write_bytes(
                encode(picture(20, 24, 1000 * n + i), "PNG")
            )
    for name, data in BROKEN.items():
        (tmp_path / "data" / name).write_bytes(data)
    return tmp_path / "data"


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def load(folder, **settings):
    return load_source(DataConfig(data=str(folder), **settings), 0)


def trained_on(source):
    return {name for split in source.splits.values() for name in split.ids}


def test_strict_refuses_and_is_the_default(folder):
    before = contents(folder)
    with pytest.raises(InputError, match=r"a/05\.png: empty file.*and 3 more such files"):
        load(folder)
    assert contents(folder) == before


def test_skip_leaves_exactly_the_broken_files_out(folder):
    before = contents(folder)
    source = load(folder, policy="skip")
    assert trained_on(source) == set(before) - set(BROKEN) and len(trained_on(source)) == 76
    assert "left out 4 broken files" in source.notes[0] and contents(folder) == before
    assert {f.id for f in source.findings if f.broken} == set(BROKEN)


def test_quarantine_writes_a_list_that_every_policy_obeys(folder):
    before = contents(folder)
    source = load(folder, policy="quarantine")
    assert trained_on(source) == set(before) - set(BROKEN)
    text = (folder / "quarantine.txt").read_text()
    assert [line.split("\t")[0] for line in text.splitlines() if line[0] != "#"] == sorted(BROKEN)
    assert {name: data for name, data in contents(folder).items() if name != "quarantine.txt"} == before
    again = load(folder)
    assert trained_on(again) == trained_on(source) and again.fingerprint == source.fingerprint
    assert again.notes[0] == "left out 4 images that the quarantine list names"
    load(folder, policy="quarantine")
    assert (folder / "quarantine.txt").read_text() == text


def test_the_list_is_the_user_s_to_edit(folder):
    load(folder, policy="quarantine")
    with (folder / "quarantine.txt").open("a") as stream:
        stream.write("# by hand\nb/00.png\nb/none.png\told\n")
    source = load(folder)
    assert "b/00.png" not in trained_on(source) and len(trained_on(source)) == 75
    assert source.notes[0].endswith("; 1 more of its lines name nothing here")


def test_a_list_elsewhere(folder, tmp_path):
    elsewhere = tmp_path / "lists" / "bad.txt"
    assert len(trained_on(load(folder, policy="quarantine", quarantine=str(elsewhere)))) == 76
    assert elsewhere.is_file() and not (folder / "quarantine.txt").exists()
    assert len(trained_on(load(folder, quarantine=str(elsewhere)))) == 76
    with pytest.raises(InputError, match=r"none\.txt: No such file"):
        load(folder, quarantine=str(tmp_path / "none.txt"))
    elsewhere.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load(folder, quarantine=str(elsewhere))


def test_arrays_obey_a_list_too(tmp_path):
    (tmp_path / "bad.txt").write_text("train-00012\tlabel\ntest-00001\n")
    listed = load("sample", quarantine=str(tmp_path / "bad.txt"), audit=False)
    whole = load("sample", audit=False)
    assert trained_on(whole) - trained_on(listed) <= {"train-00012", "test-00001"}
    assert len(trained_on(whole)) - len(trained_on(listed)) == sum(
        name in trained_on(whole) for name in ("train-00012", "test-00001")
    )


@pytest.mark.parametrize("policy", ["quarantine", "skip"])
def test_a_class_of_broken_files_alone_is_refused(folder, policy):
    for file in (folder / "a").iterdir():
        file.write_bytes(b"?")
    with pytest.raises(InputError, match="no image of class 'a'"):
        load(folder, policy=policy)


def test_names_that_are_no_text_are_left_out_by_an_escape(folder):
    good = encode(picture(20, 24, 77), "PNG")
    with open(os.fsencode(folder) + b"/a/\xff\n.png", "wb") as stream:
        stream.write(good)
    with pytest.raises(InputError):
        load(folder)
    assert len(trained_on(load(folder, policy="quarantine"))) == 76
    assert "a/\\xff\\n.png\tunreadable_name" in (folder / "quarantine.txt").read_text()
    assert len(trained_on(load(folder))) == 76


def test_loops_are_named_and_not_followed(folder):
    for name in BROKEN:
        (folder / name).unlink()
    (folder / "a" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    source = load(folder)
    assert len(trained_on(source)) == 76 and source.classes == ("a", "b")
    assert [f.id for f in source.findings if f.code == "symlink_loop"] == ["loop", "a/up"]


def test_files_are_decoded_once_until_they_change(folder, monkeypatch):
    monkeypatch.setattr(cache, "_SETTLED_NS", -(10**12))
    assert scan(list_folder(str(folder)), LIMITS).decoded == 80
    monkeypatch.setattr(pool, "COMMAND", ("false",))  # no worker is needed
    again = scan(list_folder(str(folder)), LIMITS)
    assert again.decoded == 0
    monkeypatch.undo()
    first = scan(list_folder(str(folder)), Limits(LIMITS.max_pixels, LIMITS.max_bytes, 31.0))
    assert again.examined == first.examined and again.findings == first.findings
    monkeypatch.setattr(cache, "_SETTLED_NS", -(10**12))
    (folder / "a" / "05.png").write_bytes(encode(picture(20, 24, 5), "PNG"))
    (folder / "a" / "99.png").write_bytes(b"new")
    third = scan(list_folder(str(folder)), LIMITS)
    assert third.decoded == 2 and {f.id for f in third.findings} == {*BROKEN, "a/99.png"} - {"a/05.png"}


def test_files_changed_just_now_are_not_trusted(folder, monkeypatch):
    monkeypatch.setattr(cache, "_SETTLED_NS", 600 * 10**9)
    assert [scan(list_folder(str(folder)), LIMITS).decoded for _ in range(2)] == [80, 80]


def test_a_damaged_cache_is_computed_again(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_SETTLED_NS", -(10**12))
    scan(list_folder(str(folder)), LIMITS)
    (file,) = (tmp_path / "cache" / "imgrec" / "audit").iterdir()
    file.write_bytes(file.read_bytes()[:-99])
    assert scan(list_folder(str(folder)), LIMITS).decoded == 80


def test_copies_are_looked_for_unless_told_not_to(tmp_path):
    write_classes(tmp_path, {"a": 12, "b": 12})
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "003.png").read_bytes())
    found = [(f.id, f.code) for f in load(tmp_path).findings]
    assert sorted(name for name, code in found if code.startswith("duplicate")) == ["a/003.png", "b/copy.png"]
    assert {("a/003.png", "two_labels"), ("b/copy.png", "two_labels")} <= set(found)
    assert load(tmp_path, audit=False).findings == ()


def test_splits_that_are_made_keep_copies_together(tmp_path):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (300, 8, 8), np.uint8)
    images[100:200] = images[:100]  # a third of the set is there twice
    labels = np.arange(300) % 100 % 2
    np.savez(tmp_path / "set.npz", x=images, y=labels)
    source = load(f"npz:{tmp_path / 'set.npz'}")
    assert not {f.code for f in source.findings} & {"duplicate_across_splits", "two_labels"}
    assert sum(f.code == "duplicate" for f in source.findings) == 200
    assert trained_on(source) == {f"train-{n:05d}" for n in range(300)}
    assert [len(split) for split in source.splits.values()] == pytest.approx([210, 60, 30], abs=3)


def test_copies_alone_are_too_few_to_divide(tmp_path):
    images = np.zeros((20, 8, 8), np.uint8)
    images[10:] = np.random.default_rng(0).integers(0, 256, (10, 8, 8), np.uint8)
    np.savez(tmp_path / "set.npz", x=images, y=np.arange(20) // 10)
    with pytest.raises(InputError, match="class '0' has 1 image, copies counted once, too few"):
        load(f"npz:{tmp_path / 'set.npz'}")
