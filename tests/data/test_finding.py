"""The one way of looking for images in folders."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from imgrec.data.finding import Walk, find_images
from imgrec.errors import InputError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(files: Iterable[Path], top: Path) -> list[str]:
    return [file.relative_to(top).as_posix() for file in files]


def test_hidden_ones_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(
        tmp_path / "b.png",
        tmp_path / "a" / "deep" / "x.JPG",
        tmp_path / ".ipynb_checkpoints" / "b.png",
        tmp_path / "__MACOSX" / "b.png",
        tmp_path / "a" / "._x.JPG",
        tmp_path / "__file__.png",
        tmp_path / "photo.heic",
        tmp_path / "README",
    )
    found = find_images([tmp_path])
    assert names(found.files, tmp_path) == ["__file__.png", "a/deep/x.JPG", "b.png"]
    listed = "2 files that are no images by name: 1 .heic (not read), 1 without an ending"
    assert found.left_out == f"{listed}; 3 hidden"


def test_a_hidden_folder_that_is_named_is_looked_through(tmp_path: Path) -> None:
    touch(tmp_path / ".cache" / "x.png")
    assert find_images([tmp_path / ".cache"]).files == (tmp_path / ".cache" / "x.png",)


def test_links_are_followed_once(tmp_path: Path) -> None:
    top, elsewhere = tmp_path / "top", tmp_path / "elsewhere"
    touch(top / "real" / "x.png", elsewhere / "y.png")
    (top / "another").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(top)
    (top / "a").symlink_to(top / "real")
    (top / "linked.png").symlink_to(elsewhere / "y.png")
    (top / "itself").symlink_to(top / "itself")
    walk = Walk(top)
    assert names(sorted(walk), top) == ["another/y.png", "itself", "linked.png", "real/x.png"]
    assert names(sorted(walk.again), top) == ["a", "another/back"] and not walk.loops
    links = f"{top / 'a'}, {top / 'another' / 'back'}"
    assert find_images([top]).left_out.endswith(f"{links}: looked through already under another name")
    again = ["another/back/itself", "another/back/linked.png", "another/back/real/x.png", "another/y.png"]
    assert names(sorted(Walk(top / "another")), top) == again


def test_links_that_lead_up_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "beside.png", tmp_path / "top" / "deep" / "x.png")
    (tmp_path / "top" / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "top" / "here").symlink_to(".")
    walk = Walk(tmp_path / "top")
    assert sorted(walk) == [tmp_path / "top" / "deep" / "x.png"]
    assert names(sorted(walk.loops), tmp_path) == ["top/deep/up", "top/here"] and not walk.again


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is closed to this user")
def test_a_closed_folder_is_said(tmp_path: Path) -> None:
    touch(tmp_path / "x.png", tmp_path / "closed" / "y.png")
    (tmp_path / "closed").chmod(0)
    try:
        assert find_images([tmp_path]).closed == ((tmp_path / "closed", "Permission denied"),)
        with pytest.raises(InputError, match=r"no image in it \(.*closed: Permission denied\)"):
            find_images([tmp_path / "closed"])
    finally:
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes among the files")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    touch(tmp_path / "x.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert find_images([tmp_path]).files == (tmp_path / "x.png",)


def test_no_image_says_what_there_is(tmp_path: Path) -> None:
    touch(tmp_path / "photo.heic", tmp_path / ".x.png")
    with pytest.raises(InputError, match=r"1 file that is no image by name: 1 \.heic \(not read\); 1 hidden"):
        find_images([tmp_path])
